//! How many files the shipper has open: those of a pattern are closed while they are not written to, immediately if
//! there are no descriptors for others.

use super::Shipper;
use crate::cli::failure::Failure;

impl Shipper {
    /// Opens a log file again that was closed and has changed. False while it is closed.
    pub(super) fn wake(&mut self, number: usize) -> Result<bool, Failure> {
        if !self.followers[number].is_asleep() {
            return Ok(true);
        }
        if !self.followers[number].must_wake() || !self.has_room()? {
            return Ok(false);
        }
        if self.followers[number].is_elsewhere() {
            self.shared.strays = self.patterns.strays(&self.arguments)?;
        }
        let mut around = self.shared.around([&[], &[]]);
        let woken = self.followers[number].wake(&mut around);
        self.shared.strays.clear();
        self.complain(number, woken.err())?;
        Ok(!self.followers[number].is_asleep())
    }

    /// Closes a log file that is not written to.
    pub(super) fn sleep(&mut self, number: usize) -> Result<bool, Failure> {
        let slept = self.followers[number].sleep();
        let is_asleep = *slept.as_ref().unwrap_or(&false);
        self.complain(number, slept.err())?;
        Ok(is_asleep)
    }

    /// Whether one more log file can be open, after closing others if that is needed.
    pub(super) fn has_room(&mut self) -> Result<bool, Failure> {
        let turn = self.shared.turn;
        if self.patterns.full_in == turn {
            return Ok(false);
        }
        let open = |shipper: &Shipper| {
            let followers = shipper.followers.iter();
            followers.filter(|follower| !follower.is_asleep()).count()
        };
        let most = self.patterns.most_open;
        if open(self) >= most {
            for number in 0..self.followers.len() {
                if !self.followers[number].is_asleep() {
                    self.sleep(number)?;
                }
            }
            if open(self) >= most {
                self.patterns.full_in = turn;
                return Ok(false);
            }
        }
        Ok(true)
    }
}
