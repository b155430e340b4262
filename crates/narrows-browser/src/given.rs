//! Reading an object of options. Names that nobody asks for are refused: a limit that is misspelt and
//! ignored would be no limit.
//!
//! By hand rather than derived: derived readers of this many options, and what they drag along to
//! print numbers in their messages, were an eighth of the module.

use std::{cell::RefCell, time::Duration};

use js_sys::{Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

/// Options that concern the interface alone.
const FOR_THE_INTERFACE: [&str; 3] = ["signal", "onProgress", "progressInterval"];

/// The largest whole number that a double has exactly.
const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;

/// An object of options that is being read. Errors are messages that name the option.
///
/// No example: it takes an object of JavaScript.
#[derive(Debug)]
pub struct Given {
    object: Option<Object>,
    /// What stands before its names in messages.
    at: &'static str,
    asked: RefCell<Vec<&'static str>>,
}

impl Given {
    /// `undefined` is an object without options.
    pub fn new(value: &JsValue, at: &'static str) -> Result<Self, String> {
        let object = match value.is_undefined() {
            true => None,
            false => {
                let object = value.dyn_ref::<Object>().cloned();
                Some(object.ok_or_else(|| format!("{at}options must be an object"))?)
            }
        };
        Ok(Self { object, at, asked: RefCell::default() })
    }

    /// What was given under a name, if anything was.
    pub fn get(&self, name: &'static str) -> Option<JsValue> {
        self.asked.borrow_mut().push(name);
        let value = Reflect::get(self.object.as_ref()?, &name.into()).ok()?;
        (!value.is_undefined() && !value.is_null()).then_some(value)
    }

    fn wrong(&self, name: &str, expected: &str) -> String {
        format!("option `{}{name}`: expected {expected}", self.at)
    }

    /// A number of things: whole, not negative, and no larger than `most`.
    fn whole(&self, name: &'static str, most: f64) -> Result<Option<f64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_f64().filter(|number| *number >= 0.0 && *number <= most && number.fract() == 0.0);
        number.map(Some).ok_or_else(|| self.wrong(name, "a whole number that is not negative, nor too large"))
    }

    /// A number up to 2^53.
    pub fn u64(&self, name: &'static str, default: u64) -> Result<u64, String> {
        Ok(self.whole(name, WHOLE_MAX)?.map_or(default, |number| number as u64))
    }

    /// A number below 2^32.
    pub fn u32(&self, name: &'static str, default: u32) -> Result<u32, String> {
        Ok(self.whole(name, u32::MAX.into())?.map_or(default, |number| number as u32))
    }

    /// A number below 2^32.
    pub fn usize(&self, name: &'static str, default: usize) -> Result<usize, String> {
        Ok(self.whole(name, u32::MAX.into())?.map_or(default, |number| number as usize))
    }

    /// A time in milliseconds.
    pub fn millis(&self, name: &'static str, default: Duration) -> Result<Duration, String> {
        Ok(self.whole(name, WHOLE_MAX)?.map_or(default, |number| Duration::from_millis(number as u64)))
    }

    /// A number above zero, with fractions.
    pub fn positive(&self, name: &'static str) -> Result<Option<f64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_f64().filter(|number| *number > 0.0);
        number.map(Some).ok_or_else(|| self.wrong(name, "a number above 0"))
    }

    /// True or false.
    pub fn boolean(&self, name: &'static str, default: bool) -> Result<bool, String> {
        let Some(value) = self.get(name) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(name, "true or false"))
    }

    /// A string.
    pub fn text(&self, name: &'static str) -> Result<Option<String>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_string().map(Some).ok_or_else(|| self.wrong(name, "a string"))
    }

    /// One of some words; the first is the default.
    pub fn word<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Result<T, String> {
        let Some(value) = self.get(name) else { return Ok(words[0].1) };
        let word = value.as_string().and_then(|given| words.iter().find(|(word, _)| *word == given));
        word.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).filter(|word| !word.is_empty()).collect();
            self.wrong(name, &format!("one of {}", words.join(", ")))
        })
    }

    /// Refuses what nobody has asked for.
    pub fn end(self) -> Result<(), String> {
        let Some(object) = &self.object else { return Ok(()) };
        let (asked, at) = (self.asked.borrow(), self.at);
        for name in Object::keys(object).iter().filter_map(|name| name.as_string()) {
            if !asked.contains(&name.as_str()) && !FOR_THE_INTERFACE.contains(&name.as_str()) {
                let known = asked.join(", ");
                return Err(format!("unknown option `{at}{name}`; the options are {known}"));
            }
        }
        Ok(())
    }
}
