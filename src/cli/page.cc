#include "cli/page.h"

#include <algorithm>

namespace tokenpool::cli {
namespace {

constexpr std::size_t kFieldName = 10;

std::string and_more(std::size_t count, std::string_view what) {
  return "  and " + std::to_string(count) + " more" + std::string(what);
}

}  // namespace

std::size_t Page::Section::height() const {
  return 2 + (heading.empty() ? 0 : 1) + lines.size() + (total > lines.size() ? 1 : 0);
}

std::string Page::shown(std::string_view text, Style style) const {
  return styled(cut(text, view_.columns), style, view_.colour) + "\n";
}

void Page::line(std::string_view text, Style style) { head_.push_back(shown(text, style)); }

void Page::field(std::string_view name, std::string_view value, Style style) {
  std::string text(name);
  text.resize(kFieldName, ' ');
  line(text + std::string(value), style);
}

void Page::named(std::string_view name, std::string_view value, std::string_view tail) {
  const std::size_t used = kFieldName + columns_of(tail);
  const std::size_t room = view_.columns > used ? view_.columns - used : view_.columns;
  field(name, cut_middle(value, room) + std::string(tail));
}

void Page::table(std::string_view title, Worth worth, const std::vector<Column>& columns,
                 const std::vector<std::vector<std::string>>& rows, std::size_t total) {
  if (total == 0) return;
  Section section{std::string(title), worth, {}, lay_out(columns, rows, view_.columns), total};
  if (!section.lines.empty()) {
    section.heading = section.lines.front();
    section.lines.erase(section.lines.begin());
  }
  sections_.push_back(std::move(section));
}

void Page::words(std::string_view title, Worth worth, const std::vector<std::string>& all) {
  std::size_t widest = 0;
  for (const std::string& word : all) widest = std::max(widest, word.size());
  const std::size_t columns = view_.columns == kWholeLines ? StatusView{}.columns : view_.columns;
  Section section{std::string(title), worth, {}, {}, 0};
  std::string row;
  const auto add_row = [&] {
    section.lines.push_back(cut(row.substr(0, row.find_last_not_of(' ') + 1), view_.columns));
    row.clear();
  };
  for (std::string word : all) {
    if (!row.empty() && row.size() + 2 + word.size() > columns) add_row();
    word.resize(widest, ' ');
    row += "  " + word;
  }
  add_row();
  section.total = section.lines.size();
  sections_.push_back(std::move(section));
}

void Page::fit(std::vector<Section>* sections, std::vector<std::string>* left_out) const {
  const auto height = [&] {
    std::size_t lines = head_.size() + (left_out->empty() ? 0 : 1);
    for (const Section& section : *sections) lines += section.height();
    return lines;
  };
  const auto drop = [&](Worth worth) {
    const auto first = std::find_if(sections->begin(), sections->end(),
                                    [&](const Section& one) { return one.worth == worth; });
    if (first == sections->end()) return false;
    left_out->push_back(first->title);
    sections->erase(first);
    return true;
  };
  while (height() > view_.rows && (drop(Worth::least) || drop(Worth::less))) {
  }
  while (height() > view_.rows) {
    const auto longest = std::max_element(
        sections->begin(), sections->end(), [](const Section& a, const Section& b) {
          const auto length = [](const Section& one) {
            return one.worth == Worth::rows ? one.lines.size() : 0;
          };
          return length(a) < length(b);
        });
    if (longest == sections->end() || longest->worth != Worth::rows || longest->lines.size() < 2) {
      return;
    }
    longest->lines.pop_back();
  }
}

std::string Page::text() const {
  std::vector<Section> sections = sections_;
  std::vector<std::string> left_out;
  if (view_.rows > 0) fit(&sections, &left_out);
  std::vector<std::string> lines = head_;
  for (const Section& section : sections) {
    lines.emplace_back("\n");
    lines.push_back(shown(section.title, Style::heading));
    if (!section.heading.empty()) lines.push_back(shown(section.heading));
    for (const std::string& line : section.lines) lines.push_back(shown(line));
    if (section.total > section.lines.size()) {
      lines.push_back(shown(and_more(section.total - section.lines.size(), "")));
    }
  }
  if (!left_out.empty()) {
    std::string names;
    for (const std::string& name : left_out) names += (names.empty() ? "" : ", ") + name;
    lines.push_back(shown("  and more: " + names));
  }
  if (view_.rows > 0 && lines.size() > view_.rows) {
    const std::size_t cut_off = lines.size() - view_.rows + 1;
    lines.resize(view_.rows - 1);
    lines.push_back(shown(and_more(cut_off, " lines")));
  }
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

}  // namespace tokenpool::cli
