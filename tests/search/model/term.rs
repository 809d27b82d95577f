//! Terms, looked for at every place of a text.

use super::json::{text, Text};

#[derive(Clone, Debug)]
pub struct Term {
    pub is_negated: bool,
    star_in_front: bool,
    text: Text,
    star_at_end: bool,
}

/// The terms of a `q`; `None` where it is not legal.
pub fn parse(q: &str) -> Option<Vec<Term>> {
    let is_white = |c: &char| " \t\r\n".contains(*c);
    let characters: Vec<char> = q.chars().collect();
    let mut at = 0;
    let mut terms = Vec::new();
    loop {
        while characters.get(at).is_some_and(is_white) {
            at += 1;
        }
        if at == characters.len() {
            break;
        }
        let is_next = |wanted: char, at: &mut usize| {
            let is_there = characters.get(*at) == Some(&wanted);
            *at += usize::from(is_there);
            is_there
        };
        let is_negated = is_next('-', &mut at);
        let star_in_front = is_next('*', &mut at);
        let mut star_at_end = false;
        let mut text = String::new();
        if is_next('"', &mut at) {
            loop {
                match (*characters.get(at)?, characters.get(at + 1)) {
                    ('"', _) => break,
                    ('\\', Some(next @ ('"' | '\\'))) => {
                        text.push(*next);
                        at += 2;
                    }
                    (character, _) => {
                        text.push(character);
                        at += 1;
                    }
                }
            }
            at += 1;
            star_at_end = is_next('*', &mut at);
            if characters.get(at).is_some_and(|c| !is_white(c)) {
                return None;
            }
        } else {
            while characters.get(at).is_some_and(|c| !is_white(c)) {
                text.push(characters[at]);
                at += 1;
            }
            if text.ends_with('*') {
                text.pop();
                star_at_end = true;
            }
        }
        if text.is_empty() || text.len() > 256 {
            return None;
        }
        let text = self::text(&text);
        terms.push(Term {
            is_negated,
            star_in_front,
            text,
            star_at_end,
        });
    }
    (!terms.is_empty()).then_some(terms)
}

fn is_word(character: Option<&u32>) -> bool {
    character.is_some_and(|c| match char::from_u32(*c) {
        Some(c) if c.is_ascii() => c.is_ascii_alphanumeric() || c == '_',
        _ => true,
    })
}

fn lower(character: &u32) -> u32 {
    match char::from_u32(*character) {
        Some(c) => u32::from(c.to_ascii_lowercase()),
        None => *character,
    }
}

impl Term {
    pub fn is_in(&self, text: &[u32]) -> bool {
        let len = self.text.len();
        (0..(text.len() + 1).saturating_sub(len)).any(|at| {
            let stands = text[at..at + len]
                .iter()
                .map(lower)
                .eq(self.text.iter().map(lower));
            let before = at.checked_sub(1).and_then(|before| text.get(before));
            let is_bounded = |own: Option<&u32>, star: bool, beside: Option<&u32>| {
                star || !is_word(own) || !is_word(beside)
            };
            stands
                && is_bounded(self.text.first(), self.star_in_front, before)
                && is_bounded(self.text.last(), self.star_at_end, text.get(at + len))
        })
    }
}
