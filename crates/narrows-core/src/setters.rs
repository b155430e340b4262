//! Setters for structs of options, so that fields can be added without breaking their users.

/// Makes a setter for each field, named like it: `name: Type`, or `name: into Type` for what is
/// converted into its type.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    (@one $name:ident: into $kind:ty) => {
        #[doc = concat!("With the option [`", stringify!($name), "`](Self#structfield.", stringify!($name), ").")]
        #[must_use]
        pub fn $name(self, $name: impl Into<$kind>) -> Self {
            Self { $name: $name.into(), ..self }
        }
    };
    (@one $name:ident: $kind:ty) => {
        #[doc = concat!("With the option [`", stringify!($name), "`](Self#structfield.", stringify!($name), ").")]
        #[must_use]
        pub fn $name(self, $name: $kind) -> Self {
            Self { $name, ..self }
        }
    };
    ($($name:ident: [$($kind:tt)*]),* $(,)?) => {
        $( $crate::setters!(@one $name: $($kind)*); )*
    };
}
