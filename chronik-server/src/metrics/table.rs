//! The macro that turns the table of metrics into fields, text and documentation.

/// One metric: everything but its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition {
    /// The name that is scraped.
    pub(super) name: &'static str,
    /// What it tells.
    pub(super) sentence: &'static str,
    /// The title of its part of the table.
    pub(super) section: &'static str,
}

macro_rules! metrics_table {
    ($(
        $(#[doc = $section_sentence:literal])+
        $section:ident: $Section:ident {
            $(
                $(#[doc = $sentence:literal])+
                $field:ident: $type:ty = $name:literal;
            )+
        }
    )+) => {
        /// All metrics of a node.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[doc = $section_sentence])+ pub $section: $Section,)+
        }

        $(
            $(#[doc = $section_sentence])+
            #[derive(Debug, Default)]
            pub struct $Section {
                $($(#[doc = $sentence])+ pub $field: $type,)+
            }
        )+

        impl Metrics {
            /// Shows every metric with its definition, in the order of the table.
            fn visit(&self, visitor: &mut dyn FnMut(&table::Definition, &dyn series::Series)) {
                $(
                    let section = concat!($($section_sentence),+).trim_ascii();
                    $(
                        let definition = table::Definition {
                            name: $name,
                            sentence: concat!($($sentence),+).trim_ascii(),
                            section,
                        };
                        visitor(&definition, &self.$section.$field);
                    )+
                )+
            }
        }
    };
}

pub(super) use metrics_table;
