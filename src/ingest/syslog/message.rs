//! A message as ranges of its bytes.

/// Where a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A UDP or TCP socket.
    Network,
    /// A Unix socket: from a program of this machine, which need not send its host.
    Local,
}

/// One message. What is nil or absent is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Facility times 8, plus severity; at most 191.
    pub priority: u8,
    pub time: Option<Time<'a>>,
    pub hostname: Option<&'a [u8]>,
    /// APP-NAME, or the tag.
    pub app_name: Option<&'a [u8]>,
    /// PROCID, or what is in brackets after the tag.
    pub proc_id: Option<&'a [u8]>,
    pub msg_id: Option<&'a [u8]>,
    /// The elements with their brackets, checked: [`super::structured_data`] reads them.
    pub structured_data: Option<&'a [u8]>,
    /// `None` only in RFC 5424, whose message may end before it.
    pub text: Option<&'a [u8]>,
}

/// The time of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time<'a> {
    /// A legal timestamp.
    AsSent(&'a str),
    /// RFC 3164's time, which has neither year nor zone. The day is one that the month can have.
    Yearless {
        month: u8,
        day: u8,
        hour: u8,
        minute: u8,
        second: u8,
    },
}

impl<'a> Message<'a> {
    /// A message that is nothing but its text.
    pub(super) fn plain(priority: u8, text: &'a [u8]) -> Self {
        Self {
            priority,
            time: None,
            hostname: None,
            app_name: None,
            proc_id: None,
            msg_id: None,
            structured_data: None,
            text: Some(without_bom(text)),
        }
    }

    pub(crate) fn facility(&self) -> u8 {
        self.priority >> 3
    }

    pub(crate) fn severity(&self) -> u8 {
        self.priority & 7
    }
}

pub(super) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}
