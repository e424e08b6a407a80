#include "control/enforcement.h"

#include <algorithm>
#include <unordered_map>

namespace tokenpool::control {

/// One sample, as it is asked about.
class Enforcement::Tree {
 public:
  explicit Tree(const EnforcementSample& sample) : jobs_(jobs_of(sample.processes, sample.front)) {
    for (const TreeProcess& process : sample.processes) processes_[process.who] = &process;
  }
  [[nodiscard]] const std::vector<TreeJob>& jobs() const { return jobs_; }
  [[nodiscard]] const TreeJob* job(core::ProcessId root) const {
    const auto found = std::find_if(jobs_.begin(), jobs_.end(),
                                    [&](const TreeJob& job) { return job.root == root; });
    return found == jobs_.end() ? nullptr : &*found;
  }
  [[nodiscard]] const TreeProcess* process(core::ProcessId who) const {
    const auto found = processes_.find(who);
    return found == processes_.end() ? nullptr : found->second;
  }

 private:
  std::vector<TreeJob> jobs_;
  std::unordered_map<core::ProcessId, const TreeProcess*, core::ProcessIdHash> processes_;
};

const Enforcement::Thawed* Enforcement::thawed(core::ProcessId root) const {
  const auto found = std::find_if(thawed_.begin(), thawed_.end(),
                                  [&](const Thawed& one) { return one.root == root; });
  return found == thawed_.end() ? nullptr : &*found;
}

bool Enforcement::is_frozen(core::ProcessId root) const {
  return std::any_of(frozen_.begin(), frozen_.end(),
                     [&](const Frozen& one) { return one.root == root; });
}

int Enforcement::frozen_slots() const {
  int slots = 0;
  for (const Frozen& one : frozen_) slots += one.slots;
  return slots;
}

// What makes the number of slots rise and fall does so within a turn.
void Enforcement::calm(core::Instant now) {
  std::erase_if(thawed_, [&](const Thawed& one) { return now - one.when >= kTurn; });
  over_ = 0;
}

void Enforcement::give_up(core::ProcessId leaf, core::Instant now) {
  EnforcementStep unused;
  for (std::size_t i = 0; i < frozen_.size(); ++i) {
    if (frozen_[i].leaves.front() == leaf) return thaw(i, now, &unused);
  }
}

void Enforcement::thaw(std::size_t index, core::Instant now, EnforcementStep* step) {
  const Frozen& one = frozen_[index];
  step->thaw.insert(step->thaw.end(), one.leaves.begin(), one.leaves.end());
  std::erase_if(thawed_, [&](const Thawed& before) { return before.root == one.root; });
  thawed_.push_back({one.root, now});
  frozen_.erase(frozen_.begin() + static_cast<std::ptrdiff_t>(index));
}

void Enforcement::look_after_frozen(const Tree& tree, core::Instant now, EnforcementStep* step) {
  for (std::size_t i = 0; i < frozen_.size();) {
    Frozen& one = frozen_[i];
    bool all_stopped = true;
    bool some_run = false;
    bool is_signalled = false;
    std::erase_if(one.leaves, [&](core::ProcessId leaf) {
      if (tree.process(leaf) != nullptr) return false;
      step->thaw.push_back(leaf);
      return true;
    });
    for (const core::ProcessId leaf : one.leaves) {
      const TreeProcess& process = *tree.process(leaf);
      all_stopped = all_stopped && process.stopped;
      some_run = some_run || (!process.stopped && !process.blocked);
      is_signalled = is_signalled || process.signalled;
    }
    if (one.leaves.empty()) {
      frozen_.erase(frozen_.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    // On a busy machine it may take a while until a process gets to its signal.
    const bool had_time = one.seen_stopped || now - one.since >= kEnforceAfter;
    const bool was_continued = some_run && had_time;
    one.seen_stopped = one.seen_stopped || all_stopped;
    const TreeJob* job = tree.job(one.root);
    const bool left_alone = job != nullptr && job->coordinator_stopped;
    const bool expired = now - one.since >= kMaxFrozen && !left_alone;
    if (job == nullptr || is_signalled || was_continued || expired) {
      thaw(i, now, step);
    } else {
      ++i;
    }
  }
}

// The sample was taken before this step thawed anybody.
bool Enforcement::is_stopped_by_others(const TreeJob& job, core::Instant now) const {
  const Thawed* before = thawed(job.root);
  const bool just_thawed = before != nullptr && before->when == now;
  return job.stopped && !is_frozen(job.root) && !just_thawed;
}

const TreeJob* Enforcement::oldest(const Tree& tree, core::Instant now) const {
  const auto found = std::find_if(tree.jobs().begin(), tree.jobs().end(), [&](const TreeJob& job) {
    return !is_stopped_by_others(job, now);
  });
  return found == tree.jobs().end() ? nullptr : &*found;
}

void Enforcement::thaw_where_slots_suffice(const Tree& tree, int excess, core::Instant now,
                                           EnforcementStep* step) {
  while (!frozen_.empty()) {
    const TreeJob* job = tree.job(frozen_.front().root);
    if (job != nullptr && job->coordinator_stopped) return;
    // Those before it have ended: now this one is what the build gets on with.
    const bool is_oldest = job != nullptr && job == oldest(tree, now);
    if (!is_oldest && frozen_slots() - frozen_.front().slots < excess) return;
    thaw(0, now, step);
  }
}

void Enforcement::freeze(const Tree& tree, int lack, core::Instant now, EnforcementStep* step) {
  const TreeJob* immune = oldest(tree, now);
  std::vector<const TreeJob*> victims;
  for (auto job = tree.jobs().rbegin(); job != tree.jobs().rend(); ++job) {
    if (!job->freezable || job->stopped || job->coordinator_stopped || &*job == immune) continue;
    if (is_frozen(job->root)) continue;
    const Thawed* before = thawed(job->root);
    if (before == nullptr || now - before->when >= kTurn) victims.push_back(&*job);
  }
  const auto turn = [this](const TreeJob* job) {
    const Thawed* before = thawed(job->root);
    return before == nullptr ? core::Instant::min() : before->when;
  };
  // All are in one vector, the youngest last.
  std::sort(victims.begin(), victims.end(), [&](const TreeJob* a, const TreeJob* b) {
    return turn(a) != turn(b) ? turn(a) < turn(b) : a > b;
  });
  for (const TreeJob* job : victims) {
    if (lack <= 0) break;
    lack -= job->slots;
    step->freeze.push_back(job->leaves);
    frozen_.push_back({job->root, job->leaves, job->slots, now});
  }
  std::sort(frozen_.begin(), frozen_.end(), [](const Frozen& a, const Frozen& b) {
    return a.root.start != b.root.start ? a.root.start < b.root.start : a.root.pid < b.root.pid;
  });
}

EnforcementStep Enforcement::step(const EnforcementSample& sample, core::Instant now) {
  const Tree tree(sample);
  EnforcementStep step;
  std::erase_if(thawed_, [&](const Thawed& one) { return tree.process(one.root) == nullptr; });
  look_after_frozen(tree, now, &step);
  int all = 0;
  int stopped = 0;
  for (const TreeJob& job : tree.jobs()) {
    all += job.slots;
    if (is_stopped_by_others(job, now)) stopped += job.slots;
  }
  // A slot that is held and runs nothing, as a make's between two jobs, costs nobody a job.
  const int allowed = std::max(1, sample.allowed);
  const int over = sample.in_use - allowed;
  const int excess = std::min(sample.in_use, all) - allowed - stopped;
  thaw_where_slots_suffice(tree, excess, now, &step);
  if (over != over_) since_ = now;
  over_ = over;
  const int lack = excess - frozen_slots();
  if (lack > 0 && now - since_ >= kEnforceAfter) freeze(tree, lack, now, &step);
  return step;
}

}  // namespace tokenpool::control
