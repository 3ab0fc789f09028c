//! A step: the exchange's record and the ways out, for orders, alerts and timers.

use crate::{
    alert::{self, Severity},
    error::No,
    health,
    params::{NOTICE_MS, TEXT_MAX},
    state::{EXCHANGE, Exchange, OPERATORS, SENT, Sent, Touched},
};
use reprise_guest::{
    Host, LogLevel,
    abi::{Effect, Rejection, Timer},
    json::Json,
    text::{decimal, join},
};

/// One step over the exchange's record.
pub struct Turn<'h> {
    /// The host.
    pub host: &'h mut dyn Host,
    /// Milliseconds of logical time.
    pub now_ms: u64,
    /// Chance.
    pub seed: u64,
    /// The exchange, to be changed.
    pub exchange: Box<Exchange>,
}

impl<'h> Turn<'h> {
    /// Reads the exchange.
    ///
    /// # Errors
    /// [`No::NotInitialised`], or corrupt state.
    #[inline(never)]
    pub fn open(host: &'h mut dyn Host, now_ms: u64, seed: u64) -> Result<Self, Rejection> {
        let Some(mut exchange) = EXCHANGE.get(host)? else {
            return Err(No::NotInitialised.about("send `init` first"));
        };
        exchange.touched = Touched {
            accounts_before: exchange.money.accounts,
            data_before: (exchange.data.token, exchange.data.acknowledged),
            ..Touched::default()
        };
        Ok(Self { host, now_ms, seed, exchange })
    }

    /// Sees to what people are told of health, and writes the exchange back.
    #[inline(never)]
    pub fn close(mut self, tick_is_over: bool) {
        health::watch(&mut self, tick_is_over);
        EXCHANGE.put(self.host, &self.exchange);
    }

    /// Asks for something whose end matters. Answers its number.
    #[inline(never)]
    pub fn ask(&mut self, driver: &str, for_ms: u64, payload: &mut Json, sent: &Sent) -> u64 {
        let number = self.emit(driver, for_ms, payload);
        SENT.put(self.host, &number, sent);
        number
    }

    /// Says something that nobody waits for.
    #[inline(never)]
    pub fn say(&mut self, driver: &str, payload: &mut Json) {
        self.emit(driver, NOTICE_MS, payload);
    }

    /// Tells people, on the channels of the severity (11.3).
    #[inline(never)]
    pub fn alert(&mut self, severity: Severity, what: &str, about: &str) {
        self.log(LogLevel::Warn, &["alert ", severity.name(), ": ", what, " ", about]);
        for channel in alert::channels(severity) {
            let mut payload = Json::object();
            payload.text("do", "alert").text("severity", severity.name()).text("what", what).text("about", about);
            self.say(channel, &mut payload);
        }
    }

    #[inline(never)]
    fn emit(&mut self, driver: &str, for_ms: u64, payload: &mut Json) -> u64 {
        self.exchange.last.effect += 1;
        let number = self.exchange.last.effect;
        self.host.emit(Effect {
            idempotency_key: join(&[driver, ".", &decimal(number)]),
            driver: driver.into(),
            deadline_ms: self.now_ms.saturating_add(for_ms),
            payload: payload.done(),
            compensator: None,
        });
        number
    }

    /// Sets the timer of a thing that has a name, so many milliseconds from now.
    #[inline(never)]
    pub fn timer(&mut self, what: &str, name: &str, in_ms: u64) {
        let due_ms = self.now_ms.saturating_add(in_ms);
        self.host.set_timer(Timer { id: join(&[what, ".", name]), due_ms, payload: Vec::new() });
    }

    /// Sets the timer of a thing that has a number.
    #[inline(never)]
    pub fn timer_of(&mut self, what: &str, number: u64, in_ms: u64) {
        self.timer(what, &decimal(number), in_ms);
    }

    /// Forgets the timer of a thing that has a number.
    #[inline(never)]
    pub fn cancel_timer_of(&mut self, what: &str, number: u64) {
        self.host.cancel_timer(&join(&[what, ".", &decimal(number)]));
    }

    /// A message for people.
    #[inline(never)]
    pub fn log(&mut self, level: LogLevel, parts: &[&str]) {
        self.host.log(level, &join(parts));
    }

    /// Trading goes on, and something may be written.
    ///
    /// # Errors
    /// [`No::TradingHalted`], [`No::ReadOnly`].
    #[inline(never)]
    pub fn writable(&self) -> Result<(), Rejection> {
        if let Some(halt) = &self.exchange.halt {
            return Err(No::TradingHalted.about(&halt.reason));
        }
        if self.exchange.read_only() {
            return Err(No::ReadOnly.about("503 Service Unavailable"));
        }
        Ok(())
    }

    /// The operator exists.
    ///
    /// # Errors
    /// [`No::UnknownOperator`].
    #[inline(never)]
    pub fn operator(&mut self, name: &str) -> Result<(), Rejection> {
        let operators = OPERATORS.get(self.host)?.unwrap_or_default();
        if operators.iter().any(|known| known == name) { Ok(()) } else { Err(No::UnknownOperator.about(name)) }
    }
}

/// A text within its bounds.
///
/// # Errors
/// [`No::BadText`].
#[inline(never)]
pub fn text(what: &str, text: &str) -> Result<(), Rejection> {
    if (1..=TEXT_MAX).contains(&text.len()) {
        return Ok(());
    }
    Err(No::BadText.says(&["`", what, "` is 1 to 64 bytes long"]))
}

/// A number within its bounds.
///
/// # Errors
/// [`No::BadNumber`].
#[inline(never)]
pub fn number(what: &str, number: u64, min: u64, max: u64) -> Result<(), Rejection> {
    if (min..=max).contains(&number) {
        return Ok(());
    }
    Err(No::BadNumber.says(&["`", what, "` is ", &decimal(min), " to ", &decimal(max)]))
}

/// Counts one more of what there may be so many of.
///
/// # Errors
/// [`No::TooMany`].
#[inline(never)]
pub fn one_more(count: &mut u32, max: u32, what: &str) -> Result<(), Rejection> {
    if *count >= max {
        return Err(No::TooMany.about(what));
    }
    *count += 1;
    Ok(())
}

/// Which of these words it is.
///
/// # Errors
/// [`No::UnknownWord`].
#[inline(never)]
pub fn word(what: &str, word: &str, words: &[&str]) -> Result<usize, Rejection> {
    let at = words.iter().position(|known| *known == word);
    at.ok_or_else(|| No::UnknownWord.says(&["`", what, "` is not `", word, "`"]))
}
