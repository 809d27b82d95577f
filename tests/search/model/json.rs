//! JSON as a tree that keeps what the contract speaks of: names that come twice, numbers as they were sent, and half of
//! a surrogate pair as a character.

use std::iter::Peekable;
use std::vec::IntoIter;

/// Characters by their numbers; halves of surrogate pairs are among them.
pub type Text = Vec<u32>;

pub fn text(plain: &str) -> Text {
    plain.chars().map(u32::from).collect()
}

#[derive(Clone, Debug)]
pub enum Json {
    Object(Vec<(Text, Json)>),
    Array(Vec<Json>),
    String(Text),
    Number(String),
    /// `true`, `false` or `null`.
    Word(String),
}

pub fn parse(json: &str) -> Json {
    let characters: Vec<char> = json.chars().collect();
    value(&mut characters.into_iter().peekable())
}

fn value(rest: &mut Peekable<IntoIter<char>>) -> Json {
    match rest.peek().unwrap() {
        '{' => {
            let mut members = Vec::new();
            while rest.next() != Some('}') && rest.peek() != Some(&'}') {
                let name = string(rest);
                assert_eq!(rest.next(), Some(':'));
                members.push((name, value(rest)));
                if rest.peek() == Some(&'}') {
                    rest.next();
                    return Json::Object(members);
                }
            }
            rest.next_if_eq(&'}');
            Json::Object(members)
        }
        '[' => {
            rest.next();
            let mut elements = Vec::new();
            while rest.next_if_eq(&']').is_none() {
                elements.push(value(rest));
                rest.next_if_eq(&',');
            }
            Json::Array(elements)
        }
        '"' => Json::String(string(rest)),
        _ => {
            let mut bare = String::new();
            while let Some(character) = rest.next_if(|c| !",]}".contains(*c)) {
                bare.push(character);
            }
            match bare.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
                true => Json::Number(bare),
                false => Json::Word(bare),
            }
        }
    }
}

fn string(rest: &mut Peekable<IntoIter<char>>) -> Text {
    assert_eq!(rest.next(), Some('"'));
    let mut units = Text::new();
    loop {
        units.push(match rest.next().unwrap() {
            '"' => return pair_surrogates(&units),
            '\\' => match rest.next().unwrap() {
                'u' => {
                    let digits: String = rest.by_ref().take(4).collect();
                    u32::from_str_radix(&digits, 16).unwrap()
                }
                'b' => 8,
                'f' => 12,
                'n' => 10,
                'r' => 13,
                't' => 9,
                other => u32::from(other),
            },
            plain => u32::from(plain),
        });
    }
}

fn pair_surrogates(units: &[u32]) -> Text {
    let mut text = Text::new();
    let mut at = 0;
    while at < units.len() {
        match units[at..] {
            [high @ 0xd800..0xdc00, low @ 0xdc00..0xe000, ..] => {
                text.push(0x10000 + (high - 0xd800) * 0x400 + low - 0xdc00);
                at += 2;
            }
            _ => {
                text.push(units[at]);
                at += 1;
            }
        }
    }
    text
}
