"""The driver is killed: its connection ends at once, and nothing of it is left."""

from common import case
from stage import acquire


def killed(stage, driver, session):
    driver.kill(session.client_pid())
    session.expect_end("the end of the connection after SIGKILL")
    stage.no_child_left()


@case
def killed_before_hello_is_answered(stage):
    arbiter = stage.unix()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, _ = arbiter.knock()
    killed(stage, driver, session)


@case
def killed_after_hello(stage):
    driver, _, session = stage.connected()
    killed(stage, driver, session)


@case
def killed_while_it_holds(stage):
    driver, _, session = stage.holding(count=3, slots=2)
    killed(stage, driver, session)


@case
def killed_while_it_waits(stage):
    driver, _, session = stage.connected()
    driver.send("acquire", key="a")
    session.expect("acquire")
    killed(stage, driver, session)


@case
def killed_while_it_waits_for_several(stage):
    driver, _, session = stage.holding()
    for key in "xyz":
        driver.done("begin", key=key)
        session.expect("acquire")
    killed(stage, driver, session)


@case
def killed_in_the_middle_of_an_answer(stage):
    driver, _, session = stage.connected()
    driver.send("acquire", key="a")
    line = session.answer_line(session.expect("acquire"), {"lease": 1, "slots": 1})
    session.bytewise(line[:-4])
    killed(stage, driver, session)


@case
def killed_after_a_release(stage):
    driver, _, session = stage.holding()
    driver.send("release", key="a")
    session.expect_release(101, 1, 0)
    driver.done()
    killed(stage, driver, session)


@case
def killed_after_it_came_back(stage):
    driver, arbiter, session = stage.holding()
    session.close()
    session, hello = arbiter.knock()
    session.greet(hello, resumed=[101])
    driver.done("wait_connected")
    killed(stage, driver, session)


@case
def killed_while_it_resumes(stage):
    driver, arbiter, session = stage.holding()
    session.close()
    session, _ = arbiter.knock()
    killed(stage, driver, session)


@case
def killed_while_the_arbiter_is_gone(stage):
    driver, arbiter, session = stage.holding()
    client = session.client_pid()
    arbiter.stop()
    session.close()
    driver.done("wait_disconnected")
    driver.kill(client)
    stage.no_child_left()


@case
def killed_over_TCP(stage):
    driver, _, session = stage.connected(stage.tcp())
    acquire(driver, session, "a", 1)
    killed(stage, driver, session)


@case
def no_child_is_left_after_quit(stage):
    driver, _, session = stage.holding()
    driver.quit()
    session.expect_end(but=("release",))
    stage.no_child_left()
