//! Where in the text the pager is, and what a key makes of that.
//!
//! Pure: [`Pager::obey`] takes one key after the other, whether the screen shows a text
//! or a pattern is being typed, so that none is lost between the two.

use std::ops::Range;

use regex_lite::{Regex, RegexBuilder};

use super::keys::Key;
use super::layout::{INVERSE, Layout, NOT_INVERSE, plain};
use crate::output::cut;

/// Greatest number that may be typed before a key.
const COUNT_MAX: usize = 1_000_000_000;
/// Longest pattern, in characters.
const PATTERN_CHARS_MAX: usize = 200;

/// A row: of which line, and which of its rows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
struct Place {
    line: usize,
    row: usize,
}

/// What is to be done after a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    Show,
    /// Something else has written on the terminal.
    Repaint,
    End,
}

/// What was looked for.
#[derive(Debug)]
struct Search {
    pattern: Regex,
    is_forward: bool,
}

/// What keys are for.
#[derive(Debug, Default)]
enum Mode {
    #[default]
    Reading,
    /// The pattern so far.
    Typing { is_forward: bool, typed: String },
}

/// A text on a terminal.
#[derive(Debug)]
pub(super) struct Pager {
    title: String,
    lines: Vec<String>,
    layout: Layout,
    /// Rows of text on the terminal: all but the last.
    height: usize,
    ignores_case: bool,
    top: Place,
    mode: Mode,
    count: Option<usize>,
    search: Option<Search>,
    /// The line that was found last.
    found: Option<usize>,
    message: Option<String>,
}

impl Pager {
    /// A text from its beginning. What it needs to know of the terminal it is told by
    /// [`Pager::resize`].
    pub(super) fn new(title: &str, text: &str, is_chopped: bool, is_numbered: bool) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let digits = is_numbered.then(|| lines.len().max(1).ilog10() as usize + 1);
        Self {
            title: title.to_owned(),
            lines,
            layout: Layout { columns: 80, chopped: is_chopped.then_some(0), digits },
            height: 23,
            ignores_case: false,
            top: Place::default(),
            mode: Mode::default(),
            count: None,
            search: None,
            found: None,
            message: None,
        }
    }

    /// From now on capitals in the text do not matter to a pattern that has none.
    pub(super) fn ignore_case(&mut self) {
        self.ignores_case = true;
    }

    /// The terminal's size, of which the last row is the pager's own.
    pub(super) fn resize(&mut self, rows: usize, columns: usize) {
        self.height = rows.saturating_sub(1).max(1);
        self.layout.columns = columns.max(1);
        let last_row = self.rows_of(self.top.line).saturating_sub(1);
        self.top.row = self.top.row.min(last_row);
        self.top = self.top.min(self.last_top());
    }

    /// Whether all of it is on the screen at once.
    pub(super) fn fits(&self) -> bool {
        self.last_top() == Place::default()
    }

    /// The rows of text on the screen.
    pub(super) fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for (index, line) in self.lines.iter().enumerate().skip(self.top.line) {
            let skipped = if index == self.top.line { self.top.row } else { 0 };
            let found = self.found_in(line);
            rows.extend(self.layout.rows(index + 1, line, &found).into_iter().skip(skipped));
            if rows.len() >= self.height {
                break;
            }
        }
        rows.truncate(self.height);
        rows
    }

    /// The last row, and whether the cursor belongs there.
    pub(super) fn status(&self) -> (String, bool) {
        let columns = self.layout.columns.saturating_sub(1);
        if let Mode::Typing { is_forward, typed } = &self.mode {
            let sign = if *is_forward { '/' } else { '?' };
            return (cut(&format!("{sign}{typed}"), columns).to_owned(), true);
        }
        let text = match (&self.message, self.count) {
            (Some(message), _) => message.clone(),
            (None, Some(count)) => format!(":{count}"),
            (None, None) => format!("{} {}", self.title, self.progress()),
        };
        (format!("{INVERSE}{}{NOT_INVERSE}", cut(&text, columns)), false)
    }

    fn progress(&self) -> String {
        if self.top == self.last_top() {
            return "(END)".to_owned();
        }
        let bottom = self.forward(self.top, self.height).line;
        format!("{}%", bottom.saturating_mul(100) / self.lines.len().max(1))
    }

    /// What a key changes.
    pub(super) fn obey(&mut self, key: Key) -> Next {
        self.message = None;
        match std::mem::take(&mut self.mode) {
            Mode::Reading => self.read(key),
            Mode::Typing { is_forward, typed } => {
                self.type_pattern(key, is_forward, typed);
                Next::Show
            }
        }
    }

    fn read(&mut self, key: Key) -> Next {
        if let Key::Char(c) = key
            && let Some(digit) = c.to_digit(10)
        {
            let count = self.count.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize);
            self.count = Some(count.min(COUNT_MAX));
            return Next::Show;
        }
        let count = self.count.take();
        let half = (self.height / 2).max(1);
        match key {
            Key::Char('q' | 'Q') | Key::Control('c') => return Next::End,
            Key::Char('r') | Key::Control('l') => return Next::Repaint,
            Key::Char('j' | 'e') | Key::Down | Key::Enter => self.down(count.unwrap_or(1)),
            Key::Char('k' | 'y') | Key::Up => self.up(count.unwrap_or(1)),
            Key::Char(' ' | 'f') | Key::PageDown | Key::Control('f') => {
                self.down(count.unwrap_or(self.height));
            }
            Key::Char('b') | Key::PageUp | Key::Control('b') => {
                self.up(count.unwrap_or(self.height));
            }
            Key::Char('d') | Key::Control('d') => self.down(count.unwrap_or(half)),
            Key::Char('u') | Key::Control('u') => self.up(count.unwrap_or(half)),
            Key::Char('g' | '<') | Key::Home => self.go_to(count.unwrap_or(1)),
            Key::Char('G' | '>') | Key::End => self.go_to(count.unwrap_or(usize::MAX)),
            Key::Right => self.scroll(|left, step| left.saturating_add(step)),
            Key::Left => self.scroll(usize::saturating_sub),
            Key::Char(c @ ('/' | '?')) => {
                self.mode = Mode::Typing { is_forward: c == '/', typed: String::new() };
            }
            Key::Char('n') => self.search_again(false),
            Key::Char('N' | 'p') => self.search_again(true),
            Key::Char('h') => {
                self.message = Some("q ends, space and b turn pages, / searches, n again".into());
            }
            _ => {}
        }
        Next::Show
    }

    fn type_pattern(&mut self, key: Key, is_forward: bool, mut typed: String) {
        match key {
            Key::Enter => return self.search_for(&typed, is_forward),
            Key::Escape | Key::Control('c') => return,
            // Taking back more than there is leaves.
            Key::Backspace if typed.pop().is_none() => return,
            Key::Control('u') => typed.clear(),
            Key::Char(c) if typed.chars().count() < PATTERN_CHARS_MAX => typed.push(c),
            _ => {}
        }
        self.mode = Mode::Typing { is_forward, typed };
    }

    /// Looks for a pattern from the screen on; for the one before if this is empty.
    fn search_for(&mut self, typed: &str, is_forward: bool) {
        if typed.is_empty() {
            if let Some(search) = &mut self.search {
                search.is_forward = is_forward;
            }
            return self.search_again(false);
        }
        let ignores_case = self.ignores_case && !typed.chars().any(char::is_uppercase);
        match RegexBuilder::new(typed).case_insensitive(ignores_case).build() {
            Ok(pattern) => {
                self.search = Some(Search { pattern, is_forward });
                self.found = None;
                let from = self.top.line;
                self.look(is_forward, if is_forward { from..self.lines.len() } else { 0..from });
            }
            Err(_) => self.message = Some(format!("`{typed}` is no pattern")),
        }
    }

    /// Looks for the next line that fits, the other way round if `is_reverse`.
    fn search_again(&mut self, is_reverse: bool) {
        let Some(search) = &self.search else {
            self.message = Some("no pattern yet".into());
            return;
        };
        let is_forward = search.is_forward != is_reverse;
        let bottom = self.forward(self.top, self.height);
        // The last lines are found without coming to the top.
        let on_screen = self.found.filter(|line| (self.top.line..=bottom.line).contains(line));
        let from = on_screen.unwrap_or(self.top.line);
        let range = if is_forward { from.saturating_add(1)..self.lines.len() } else { 0..from };
        self.look(is_forward, range);
    }

    fn look(&mut self, is_forward: bool, range: Range<usize>) {
        let Some(search) = &self.search else { return };
        let fits = |index: &usize| {
            self.lines.get(*index).is_some_and(|line| search.pattern.is_match(&plain(line)))
        };
        let mut range = range;
        let index = if is_forward { range.find(fits) } else { range.rfind(fits) };
        let Some(index) = index else {
            self.message = Some(format!("not found: {}", search.pattern.as_str()));
            return;
        };
        let line = self.lines.get(index).map_or("", String::as_str);
        let begin = self.found_in(line).first().map_or(0, |range| range.start);
        let place = Place { line: index, row: self.layout.row_of(line, begin) };
        self.found = Some(index);
        self.top = place.min(self.last_top());
    }

    /// What fits in a line, by bytes of its plain text.
    fn found_in(&self, line: &str) -> Vec<Range<usize>> {
        let Some(search) = &self.search else { return Vec::new() };
        let matches =
            search.pattern.find_iter(&plain(line)).map(|one| one.range()).collect::<Vec<_>>();
        matches.into_iter().filter(|range| !range.is_empty()).collect()
    }

    fn scroll(&mut self, change: impl Fn(usize, usize) -> usize) {
        let step = (self.layout.columns / 2).max(1);
        self.layout.chopped = self.layout.chopped.map(|left| change(left, step));
    }

    fn go_to(&mut self, number: usize) {
        let place = Place { line: number.saturating_sub(1), row: 0 };
        self.top = place.min(self.last_top());
    }

    fn down(&mut self, rows: usize) {
        self.top = self.forward(self.top, rows).min(self.last_top());
    }

    fn up(&mut self, rows: usize) {
        self.top = self.backward(self.top, rows);
    }

    /// The first row of the last screen.
    fn last_top(&self) -> Place {
        self.backward(Place { line: self.lines.len(), row: 0 }, self.height)
    }

    fn rows_of(&self, line: usize) -> usize {
        self.lines.get(line).map_or(1, |line| match self.layout.chopped {
            Some(_) => 1,
            None => self.layout.rows(0, line, &[]).len(),
        })
    }

    /// The place `rows` further, at most the one behind the last line.
    fn forward(&self, from: Place, rows: usize) -> Place {
        let mut left = from.row.saturating_add(rows);
        for line in from.line..self.lines.len() {
            let here = self.rows_of(line);
            if left < here {
                return Place { line, row: left };
            }
            left -= here;
        }
        Place { line: self.lines.len(), row: 0 }
    }

    /// The place `rows` before, at least the first.
    fn backward(&self, from: Place, rows: usize) -> Place {
        if rows <= from.row {
            return Place { line: from.line, row: from.row - rows };
        }
        let mut left = rows - from.row;
        for line in (0..from.line).rev() {
            let here = self.rows_of(line);
            if left <= here {
                return Place { line, row: here - left };
            }
            left -= here;
        }
        Place::default()
    }
}

#[cfg(test)]
mod tests;
