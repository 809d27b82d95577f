//! Numbers as rows of digits that are made equally long. For exponents that fit into memory.

use std::cmp::Ordering;

/// A whole number times a power of ten.
pub struct Number {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

pub fn parse(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => {
            let exponent = &unsigned[at + 1..];
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if !is_digits(digits) {
                return None;
            }
            (&unsigned[..at], exponent.parse::<i64>().ok()?)
        }
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) if is_digits(fraction) => (whole, fraction),
        Some(_) => return None,
        None => (mantissa, ""),
    };
    if !is_digits(whole) || whole.len() > 1 && whole.starts_with('0') {
        return None;
    }
    Some(Number {
        is_negative: text.starts_with('-'),
        digits: format!("{whole}{fraction}"),
        exponent: exponent - fraction.len() as i64,
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub fn compare(a: &Number, b: &Number) -> Ordering {
    let exponent = a.exponent.min(b.exponent);
    let scaled = |number: &Number| {
        let zeros = "0".repeat((number.exponent - exponent) as usize);
        format!("{}{zeros}", number.digits)
    };
    let (own, others) = (scaled(a), scaled(b));
    let len = own.len().max(others.len());
    let (own, others) = (format!("{own:0>len$}"), format!("{others:0>len$}"));
    let zero = "0".repeat(len);
    let is_negative = |number: &Number, digits: &str| number.is_negative && digits != zero;
    match (is_negative(a, &own), is_negative(b, &others)) {
        (false, false) => own.cmp(&others),
        (true, true) => others.cmp(&own),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}
