#include "control/billing.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "control/limits.h"

namespace tokenpool::control {

// The processes of one sample as a tree, each with what its subtree demands and may demand. Node 0
// is the root. Parents come before their children.
class Billing::Family {
 public:
  struct Node {
    core::ProcessId who;
    std::int32_t parent_pid = 0;
    std::size_t parent = 0;
    std::vector<std::size_t> children{};
    double own = 0;
    double reaped = 0;
    double own_used = 0;
    int slots_now = 0;
    int slots_before = 0;
    bool client = false;
    bool holder = false;
    bool accused = false;
    // Of the subtree; `demand` without what an accused one below has too much.
    double demand = 0;
    double allowed = 0;
    double used = 0;

    [[nodiscard]] double excess() const { return std::max(0.0, demand - allowed); }
    [[nodiscard]] double tolerated() const {
      return kTolerated + kToleratedPerSlot * std::max(0.0, allowed - 1);
    }
    [[nodiscard]] bool has_too_much() const { return !accused && excess() > tolerated(); }
  };

  Family(const BillingSample& sample, std::span<const PastHolding> before, int loose);

  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
  [[nodiscard]] const Node* find(core::ProcessId who) const;
  [[nodiscard]] std::int32_t parent_pid_of(core::ProcessId who) const;
  /// What it has too much is its own from now on. Everything is to be added up again after that.
  void mark_accused(std::size_t index) { nodes_[index].accused = true; }
  void mark_accused(core::ProcessId who);
  void add_up();
  /// Who has the excess of `from`.
  [[nodiscard]] std::vector<std::size_t> culprits(std::size_t from) const;

 private:
  Node* at(core::ProcessId who);
  [[nodiscard]] std::vector<std::size_t> children_with_too_much(std::size_t index) const;
  [[nodiscard]] int from_above(std::size_t index) const;
  [[nodiscard]] bool shares_its_slot(std::size_t index) const;
  [[nodiscard]] double on_the_same_slot(std::size_t index, std::size_t child) const;

  std::vector<Node> nodes_;
  std::unordered_map<std::int32_t, std::size_t> by_pid_;
  std::size_t command_ = 0;
  int loose_;
};

Billing::Family::Family(const BillingSample& sample, std::span<const PastHolding> before, int loose)
    : loose_(loose) {
  std::unordered_map<std::int32_t, std::vector<const ProcessLoad*>> children;
  std::unordered_map<std::int32_t, bool> known;
  for (const ProcessLoad& load : sample.loads) known[load.who.pid] = true;
  double root_reaped = 0;
  for (const ProcessLoad& load : sample.loads) {
    if (load.who.pid == sample.root) {
      root_reaped = load.reaped;
      continue;
    }
    // Its parent has ended while the sample was taken.
    const bool orphan = !known.contains(load.parent);
    children[orphan ? sample.root : load.parent].push_back(&load);
  }
  nodes_.push_back({.who = {sample.root, 0}, .reaped = root_reaped, .holder = true});
  // What is in no path from the root (two that name each other for parents) is left out.
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const auto found = children.find(nodes_[i].who.pid);
    if (found == children.end()) continue;
    for (const ProcessLoad* load : std::exchange(found->second, {})) {
      const std::size_t index = nodes_.size();
      if (!by_pid_.emplace(load->who.pid, index).second) continue;
      nodes_[i].children.push_back(index);
      nodes_.push_back({.who = load->who,
                        .parent_pid = load->parent,
                        .parent = i,
                        .own = load->demand,
                        .reaped = load->reaped,
                        .own_used = load->used});
    }
  }
  for (const std::size_t child : nodes_[0].children) {
    if (command_ == 0 || nodes_[child].who.start < nodes_[command_].who.start) command_ = child;
  }
  for (const Holding& holding : sample.holdings) {
    Node* node = at(holding.who);
    if (node == nullptr) node = nodes_.data();
    node->slots_now += holding.slots;
    node->holder = true;
    node->client = node->client || holding.client;
  }
  for (const PastHolding& past : before) {
    Node* node = at(past.holding.who);
    if (node != nullptr) {
      node->holder = true;
      node->client = node->client || past.holding.client;
    } else {
      const auto parent = by_pid_.find(past.parent);
      node = parent == by_pid_.end() ? nodes_.data() : &nodes_[parent->second];
    }
    node->slots_before += past.holding.slots;
  }
}

Billing::Family::Node* Billing::Family::at(core::ProcessId who) {
  const auto found = by_pid_.find(who.pid);
  return found == by_pid_.end() || nodes_[found->second].who != who ? nullptr
                                                                    : &nodes_[found->second];
}

const Billing::Family::Node* Billing::Family::find(core::ProcessId who) const {
  return const_cast<Family*>(this)->at(who);
}

std::int32_t Billing::Family::parent_pid_of(core::ProcessId who) const {
  const Node* node = find(who);
  return node == nullptr ? 0 : node->parent_pid;
}

void Billing::Family::mark_accused(core::ProcessId who) {
  if (Node* node = at(who); node != nullptr) node->accused = true;
}

int Billing::Family::from_above(std::size_t index) const {
  const bool orphan = index != 0 && nodes_[index].parent == 0 && index != command_;
  return orphan ? 0 : 1;
}

void Billing::Family::add_up() {
  struct Sum {
    double demand = 0;
    double used = 0;
    int now = 0;
    int before = 0;
  };
  std::vector<Sum> below(nodes_.size());
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    Node& node = nodes_[i];
    const bool only_waits = node.client && (!node.children.empty() || node.reaped > 0);
    node.demand = below[i].demand + node.reaped + (only_waits ? 0 : node.own);
    node.used = below[i].used + node.own_used;
    const int now = below[i].now + node.slots_now;
    const int before = below[i].before + node.slots_before;
    node.allowed = from_above(i) + std::max(now, before) + loose_;
    if (i == 0) break;
    Sum& parent = below[node.parent];
    // What an accused one may demand is its parent's, but where all children have that one slot.
    const int its_own = shares_its_slot(node.parent) ? from_above(i) : 0;
    parent.demand +=
        node.accused ? std::max(0.0, node.demand - node.excess() - its_own) : node.demand;
    parent.used += node.used;
    parent.now += now;
    parent.before += before;
  }
}

// A shell that starts several things at once: each runs on the slot that it got, as it does itself.
bool Billing::Family::shares_its_slot(std::size_t index) const {
  return index != 0 && !nodes_[index].client;
}

double Billing::Family::on_the_same_slot(std::size_t index, std::size_t child) const {
  if (!shares_its_slot(index)) return 0;
  double sum = std::min(1.0, nodes_[index].own + nodes_[index].reaped);
  for (const std::size_t other : nodes_[index].children) {
    if (other != child) sum += std::min(1.0, nodes_[other].demand);
  }
  return sum;
}

std::vector<std::size_t> Billing::Family::children_with_too_much(std::size_t index) const {
  std::vector<std::size_t> found;
  for (const std::size_t child : nodes_[index].children) {
    if (nodes_[child].has_too_much()) found.push_back(child);
  }
  std::sort(found.begin(), found.end(), [this](std::size_t a, std::size_t b) {
    const double one = nodes_[a].excess();
    const double other = nodes_[b].excess();
    return one != other ? one > other : a < b;
  });
  return found;
}

std::vector<std::size_t> Billing::Family::culprits(std::size_t from) const {
  std::vector<std::size_t> found;
  std::vector<std::size_t> open{from};
  while (!open.empty()) {
    const std::size_t at = open.back();
    open.pop_back();
    const Node& node = nodes_[at];
    const auto worst = children_with_too_much(at);
    const double needed = node.excess() - node.tolerated();
    if (!worst.empty() && nodes_[worst[0]].excess() >= needed - on_the_same_slot(at, worst[0])) {
      open.push_back(worst[0]);
    } else if (!worst.empty() && node.holder) {
      // Each is a job of its own.
      double explained = 0;
      for (const std::size_t child : worst) {
        if (explained >= needed) break;
        explained += nodes_[child].excess();
        open.push_back(child);
      }
    } else if (at != 0) {
      found.push_back(at);
    } else if (!node.children.empty()) {
      // The root is ours: then the child that has most of it.
      open.push_back(*std::max_element(
          node.children.begin(), node.children.end(), [this](std::size_t a, std::size_t b) {
            return nodes_[a].demand - nodes_[a].allowed < nodes_[b].demand - nodes_[b].allowed;
          }));
    }
  }
  return found;
}

void Billing::follow_accused(const Family& family, double weight) {
  std::erase_if(accused_, [&](Accusation& accusation) {
    const Family::Node* node = family.find(accusation.who);
    if (node == nullptr) return true;
    accusation.cores += weight * (node->excess() - accusation.cores);
    return accusation.cores < node->tolerated() / 2;
  });
}

// The culprits of an excess; false: there is nobody to be named yet.
bool Billing::accuse_below(std::size_t index, Family* family, core::Instant now) {
  if (accused_.size() >= kMaxAccused) return false;
  const std::size_t before = accused_.size();
  for (const std::size_t culprit : family->culprits(index)) {
    const Family::Node& named = family->nodes()[culprit];
    if (named.accused || named.used < kLeastUse) continue;
    accused_.push_back({named.who, std::max(named.excess(), kTolerated), now});
    family->mark_accused(culprit);
  }
  if (accused_.size() == before) return false;
  family->add_up();
  return true;
}

void Billing::remember(const BillingSample& sample, const Family& family) {
  held_.clear();
  for (const Holding& holding : sample.holdings) {
    held_.push_back({holding, family.parent_pid_of(holding.who)});
  }
  loose_ = sample.loose;
}

const std::vector<Accusation>& Billing::step(const BillingSample& sample, core::Instant now) {
  const std::chrono::duration<double> since = last_ ? now - *last_ : kBillingStep;
  const double weight = 1 - std::exp(-(since / kSuspicionMean));
  last_ = now;

  Family family(sample, held_, std::max(loose_, sample.loose));
  for (const Accusation& accusation : accused_) family.mark_accused(accusation.who);
  family.add_up();
  follow_accused(family, 1 - std::exp(-(since / kBillingMean)));

  std::unordered_map<core::ProcessId, Suspicion, core::ProcessIdHash> kept;
  for (std::size_t i = family.nodes().size(); i-- > 0;) {
    const Family::Node& node = family.nodes()[i];
    if (!node.holder || node.accused) continue;
    const auto known = suspicions_.find(node.who);
    Suspicion suspicion = known == suspicions_.end() ? Suspicion{} : known->second;
    suspicion.mean += weight * (node.excess() - suspicion.mean);
    // One sample in which others had the CPUs does not clear anybody.
    const bool too_much = suspicion.mean > node.tolerated() && node.excess() > node.tolerated() / 2;
    suspicion.samples = too_much ? suspicion.samples + 1 : 0;
    if (suspicion.samples >= kSamplesToAccuse && accuse_below(i, &family, now)) suspicion = {};
    if (suspicion.mean > 0) kept[node.who] = suspicion;
  }
  suspicions_ = std::move(kept);
  remember(sample, family);
  return accused_;
}

bool Billing::ended(core::ProcessId who) {
  return std::erase_if(accused_,
                       [&](const Accusation& accusation) { return accusation.who == who; }) > 0;
}

void Billing::calm() {
  suspicions_.clear();
  accused_.clear();
  held_.clear();
  loose_ = 0;
  last_.reset();
}

int Billing::withheld() const {
  int sum = 0;
  for (const Accusation& accusation : accused_) {
    sum += std::max(1, static_cast<int>(std::lround(accusation.cores)));
  }
  return sum;
}

bool Billing::is_suspicious() const {
  return !accused_.empty() ||
         std::any_of(suspicions_.begin(), suspicions_.end(),
                     [](const auto& entry) { return entry.second.mean > kTolerated / 4; });
}

}  // namespace tokenpool::control
