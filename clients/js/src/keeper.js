// All sockets and timers here are unref'd, so that an idle pool does not keep the process alive;
// while somebody waits for an answer, this does.

export class Keeper {
  #timer;

  set(on) {
    if (on) {
      this.#timer ??= setInterval(() => {}, 2 ** 30);
    } else {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }
}
