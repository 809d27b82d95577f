//! The page on a phone and on a desk, in light and dark, and without a mouse.

use serde_json::{json, Value};

use crate::chromium::{Chromium, Page};
use crate::harness::{event, Server};

/// Of text against what is behind it (WCAG 2.2, 1.4.3).
const LEAST_CONTRAST: f64 = 4.5;
/// Of what a finger must meet, in CSS's pixels (WCAG 2.2, 2.5.8).
const LEAST_TARGET: u32 = 24;

/// Text whose contrast is less than `least`; not a list if there is hardly any text.
const CONTRASTS: &str = "(least => {
  const probe = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const channels = color => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = color;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ground = element => {
    for (; element; element = element.parentElement) {
      const color = channels(getComputedStyle(element).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  const seen = element => element.checkVisibility({ visibilityProperty: true })
    && !element.closest('dialog:not([open])');
  const texts = [];
  const check = (element, text, color) => {
    const [one, other] = [luminance(channels(color)), luminance(ground(element))];
    texts.push([text, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)]);
  };
  for (const element of document.querySelectorAll('body *')) {
    if (!seen(element)) continue;
    const own = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.data.trim()).join('');
    const style = getComputedStyle(element);
    if (own) check(element, own, element.closest('svg') ? style.fill : style.color);
    if (element.value) check(element, element.value, style.color);
    if (element.placeholder) check(element, element.placeholder, getComputedStyle(element, '::placeholder').color);
  }
  return texts.length > 20 ? texts.filter(([, contrast]) => contrast < least) : texts.length;
})";

/// What a finger would miss, and what sticks out of the window.
const MISFITS: &str = "(least => {
  const found = [];
  const root = document.scrollingElement;
  if (root.scrollWidth > innerWidth) found.push(['page', root.scrollWidth]);
  for (const element of document.querySelectorAll('button, input, textarea, section, figure, header')) {
    if (!element.checkVisibility() || element.closest('dialog:not([open])')) continue;
    const box = element.getBoundingClientRect();
    const name = `${element.tagName} ${element.id || element.textContent}`;
    if (box.left < 0 || box.right > innerWidth + 0.5) found.push([name, 'sticks out']);
    const isTarget = element.matches('button, input:not([type=radio])');
    if (isTarget && Math.min(box.width, box.height) < least) found.push([name, box.height]);
  }
  return found;
})";

fn filled() -> Server {
    let server = Server::start(&[]);
    let mut events: Vec<Value> = (0..40)
        .map(|n| event(&format!("topic.{}", n % 7), &format!("evt-{n}")))
        .collect();
    events.push(event(&"long".repeat(60), &"x".repeat(255)));
    server.publish(&json!(events)).expect(200);
    server.publish(&json!(events[..5])).expect(200);
    let rejected = json!(["word ".repeat(60), "long".repeat(60), 17]);
    let mut client = server.client();
    let answer = client.publish_to("/publish?partial=true", rejected.to_string());
    answer.expect(200);
    for name in ["billing", &"long".repeat(60)] {
        let headers = ["Content-Type: application/json"];
        let answer = client.request(
            "PUT",
            &format!("/subscriptions/{name}"),
            &headers,
            b"{\"after\":1}",
        );
        answer.expect(200);
    }
    server
}

fn wait_until_filled(page: &Page) {
    page.wait_for("document.querySelectorAll('#events .entry').length >= 41");
    page.wait_for("document.querySelectorAll('#fields .value').length >= 8");
    page.wait_for_text("#matched", "events");
    page.wait_for_text("#health", "healthy");
    page.wait_for_text("#live-state", "live");
}

/// The tabs, each with what it shows once its answers are there.
const TABS: [(&str, &str); 5] = [
    (
        "topics",
        "document.querySelectorAll('#topics .entry').length >= 8",
    ),
    (
        "subscriptions",
        "document.querySelectorAll('#subscriptions tr').length === 2",
    ),
    (
        "shippers",
        "document.querySelectorAll('#rejected tr').length === 3",
    ),
    ("server", "document.querySelector('#plot-rates text')"),
    ("api", "document.querySelector('#api-events').textContent"),
];

#[test]
fn the_page_fits_and_can_be_read_at_any_width_in_light_and_dark() {
    let Some(browser) = Chromium::start("the dashboard's layout") else {
        return;
    };
    let server = filled();
    let page = browser.open(&server);
    for width in [320, 820, 1440] {
        page.resize(width, 800);
        for scheme in ["light", "dark"] {
            page.prefer(scheme);
            wait_until_filled(&page);
            let place = format!("{width} wide, {scheme}");
            let look = |what: &str| {
                let when = format!("/* {place}, {what} */");
                page.wait_for_value(&format!("{MISFITS}({LEAST_TARGET}) {when}"), json!([]));
                page.wait_for_value(&format!("{CONTRASTS}({LEAST_CONTRAST}) {when}"), json!([]));
            };
            look("the events");
            page.click("#range");
            page.wait_for("!document.querySelector('#range-menu').hidden");
            look("the menu of times");
            page.press("Escape");
            page.click("#publish-open");
            page.click("#publish [type=submit]");
            page.wait_for_text("#publish-answer", "seq");
            page.click("#publish [type=submit]");
            page.wait_for_text("#publish-answer", "duplicate");
            look("a duplicate");
            page.press("Escape");
            page.wait_for("document.querySelectorAll('#events .entry').length >= 42");
            page.click("#events li:nth-child(2) .entry");
            page.wait_for("!document.querySelector('#detail').hidden");
            look("an event");
            page.press("Escape");
            page.wait_for("document.querySelector('#detail').hidden");
            for (tab, is_filled) in TABS {
                page.click(&format!("[data-tab={tab}]"));
                page.wait_for(is_filled);
                look(tab);
            }
            page.click("#token-open");
            page.wait_for("document.querySelector('#token').open");
            look("the token");
            page.press("Escape");
            page.click("[data-tab=events]");
        }
    }
    assert_eq!(page.noticed(), Vec::<String>::new());
}

/// Where the focus is, and whether it can be seen.
const FOCUS: &str = "(() => {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const name = element.id || element.name || element.dataset.order || element.textContent;
  const isVisible = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const box = element.getBoundingClientRect();
  const header = document.querySelector('header').getBoundingClientRect();
  const isCovered = !element.closest('header, .skip') && box.bottom <= header.bottom;
  return [name, isVisible && !isCovered ? '' : 'not visible'].join('');
})()";

#[test]
fn everything_can_be_reached_and_done_with_the_keyboard() {
    let Some(browser) = Chromium::start("the dashboard's keyboard") else {
        return;
    };
    let server = filled();
    let page = browser.open(&server);
    wait_until_filled(&page);
    let mut order = Vec::new();
    for _ in 0..17 {
        page.press("Tab");
        order.push(page.evaluate(FOCUS).as_str().expect("a name").to_owned());
    }
    let expected =
        "Skip to the events, Events, Topics, Subscriptions, Shippers, Server, API, publish-open, \
                    token-open, range, words, live, export, copy-link";
    assert_eq!(order[..14].join(", "), expected);
    assert!(
        order.iter().all(|name| !name.contains("not visible")),
        "{order:?}"
    );

    // The list is one stop, and the arrows walk through it.
    let row = |at: usize| format!("document.activeElement === {}", row_of("#events li", at));
    page.focus("#events");
    page.press("ArrowDown");
    page.wait_for(&row(1));
    page.press("ArrowDown");
    page.wait_for(&row(2));
    page.wait_for(&format!("!{FOCUS}.includes('not visible')"));
    page.press("Enter");
    page.wait_for("!document.querySelector('#detail').hidden");
    page.press("Escape");
    page.wait_for("document.querySelector('#detail').hidden");
    page.wait_for(&row(2));
    page.press("ArrowUp");
    page.wait_for(&row(1));
    page.press("End");
    page.wait_for(&row(41));
    page.press("Home");
    page.wait_for(&row(1));

    // `/` goes to the words, Enter searches, Backspace takes the last filter back to edit it.
    page.press("/");
    page.wait_for("document.activeElement.id === 'words'");
    page.call("Input.insertText", &json!({"text": "topic:topic.3 evt-3"}));
    page.press("Enter");
    page.wait_for("document.querySelectorAll('#events .entry').length === 1");
    page.press("Backspace");
    page.wait_for("document.querySelector('#words').value === 'evt-3'");
    page.wait_for("document.querySelectorAll('#events .entry').length === 6");
    page.press("Escape");

    // J and K open one event after the other.
    let title = |seq: usize| {
        format!("document.querySelector('#event-title').textContent === 'Event {seq}'")
    };
    page.press("j");
    page.wait_for(&title(39));
    page.press("j");
    page.wait_for(&title(32));
    page.press("k");
    page.wait_for(&title(39));
    page.press("Escape");
    page.wait_for("document.querySelector('#detail').hidden");

    // A part of the histogram is chosen with the arrows.
    page.wait_for_text("#matched", "6 of 41 events match");
    page.focus("#histogram");
    page.press("End");
    let has_events = "document.querySelector('#histogram').ariaValueText?.includes('6 events')";
    // Minutes may have begun since they were published.
    for _ in 0..60 {
        if page.evaluate(has_events) == true {
            break;
        }
        page.press("ArrowLeft");
    }
    page.wait_for(has_events);
    page.press("Enter");
    page.wait_for("new URLSearchParams(location.search).has('until')");
    page.wait_for("document.querySelectorAll('#events .entry').length === 6");

    page.click("[data-tab=topics]");
    page.wait_for("document.querySelectorAll('#topics .entry').length >= 8");
    page.focus("#topics-scroll");
    page.press("ArrowDown");
    page.wait_for(&format!(
        "document.activeElement === {}",
        row_of("#topics tr", 1)
    ));
    page.press("Enter");
    page.wait_for("document.querySelector('#chips').innerText.includes('topic:topic.0')");

    // The form is sent from a field.
    page.click("#publish-open");
    page.focus("[name=source]");
    page.press("Enter");
    page.wait_for_text("#publish-answer", "200 accepted");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

fn row_of(rows: &str, at: usize) -> String {
    format!("document.querySelector('{rows}:nth-child({at}) .entry')")
}
