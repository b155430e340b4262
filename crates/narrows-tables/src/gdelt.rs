//! The tables of GDELT (codebooks of Event Database 1.0 and 2.0, and of the Global Knowledge Graph 1.0 and
//! 2.1). They have no headers but, sometimes, those of the graph's 1.0; every field may be empty.

use crate::schema::{Column, Header, Kind, Schema, Separator};

/// The table of this name: `export` (events 2.0), `export_v1` (57 columns), `export_v1_url` (58),
/// `mentions`, `gkg`, `gkg_v1`, `gkg_v1_counts`. `None` if there is no such table.
///
/// ```
/// use narrows_tables::gdelt;
///
/// let columns = |name| gdelt::schema(name).map(|schema| schema.columns.len());
/// assert_eq!(["export", "mentions", "gkg"].map(columns), [Some(61), Some(16), Some(27)]);
/// assert_eq!(["export_v1", "export_v1_url", "gkg_v1", "gkg_v1_counts"].map(columns), [57, 58, 11, 15].map(Some));
/// ```
pub fn schema(name: &str) -> Option<Schema> {
    let columns = match name {
        "export" => [events(&GEO_V2), columns("DATEADDED:i SOURCEURL")].concat(),
        "export_v1" => [events(&GEO_V1), columns("DATEADDED:i")].concat(),
        "export_v1_url" => [events(&GEO_V1), columns("DATEADDED:i SOURCEURL")].concat(),
        "mentions" => columns(
            "GLOBALEVENTID:i EventTimeDate:i MentionTimeDate:i MentionType:i MentionSourceName MentionIdentifier \
             SentenceID:i Actor1CharOffset:i Actor2CharOffset:i ActionCharOffset:i InRawText:i Confidence:i \
             MentionDocLen:i MentionDocTone:f MentionDocTranslationInfo Extras",
        ),
        "gkg" => columns(
            "GKGRECORDID V2.1DATE:i V2SOURCECOLLECTIONIDENTIFIER:i V2SOURCECOMMONNAME V2DOCUMENTIDENTIFIER V1COUNTS \
             V2.1COUNTS V1THEMES V2ENHANCEDTHEMES V1LOCATIONS V2ENHANCEDLOCATIONS V1PERSONS V2ENHANCEDPERSONS \
             V1ORGANIZATIONS V2ENHANCEDORGANIZATIONS V1.5TONE V2.1ENHANCEDDATES V2GCAM V2.1SHARINGIMAGE \
             V2.1RELATEDIMAGES V2.1SOCIALIMAGEEMBEDS V2.1SOCIALVIDEOEMBEDS V2.1QUOTATIONS V2.1ALLNAMES V2.1AMOUNTS \
             V2.1TRANSLATIONINFO V2EXTRASXML",
        ),
        "gkg_v1" => columns(
            "DATE:i NUMARTS:i COUNTS THEMES LOCATIONS PERSONS ORGANIZATIONS TONE CAMEOEVENTIDS SOURCES SOURCEURLS",
        ),
        "gkg_v1_counts" => columns(
            "DATE:i NUMARTS:i COUNTTYPE NUMBER:i OBJECTTYPE GEO_TYPE:i GEO_FULLNAME GEO_COUNTRYCODE GEO_ADM1CODE \
             GEO_LAT:f GEO_LONG:f GEO_FEATUREID CAMEOEVENTIDS SOURCES SOURCEURLS",
        ),
        _ => return None,
    };
    // Files of 1.0 have their names in the first row, sometimes.
    let header = if name.starts_with("gkg_v1") { Header::Detected } else { Header::None };
    Some(Schema::new(format!("gdelt.{name}"), Separator::Tab, header, columns))
}

const GEO_V2: [&str; 8] = ["Type:i", "FullName", "CountryCode", "ADM1Code", "ADM2Code", "Lat:f", "Long:f", "FeatureID"];
const GEO_V1: [&str; 7] = ["Type:i", "FullName", "CountryCode", "ADM1Code", "Lat:f", "Long:f", "FeatureID"];

fn events(geo: &[&str]) -> Vec<Column> {
    let actor = [
        "Code",
        "Name",
        "CountryCode",
        "KnownGroupCode",
        "EthnicCode",
        "Religion1Code",
        "Religion2Code",
        "Type1Code",
        "Type2Code",
        "Type3Code",
    ];
    let of = |prefix: &str, names: &[&str]| -> Vec<Column> {
        names.iter().flat_map(|name| columns(&format!("{prefix}{name}"))).collect()
    };
    [
        columns("GLOBALEVENTID:i SQLDATE:i MonthYear:i Year:i FractionDate:f"),
        of("Actor1", &actor),
        of("Actor2", &actor),
        columns(
            "IsRootEvent:i EventCode EventBaseCode EventRootCode QuadClass:i GoldsteinScale:f NumMentions:i \
             NumSources:i NumArticles:i AvgTone:f",
        ),
        of("Actor1Geo_", geo),
        of("Actor2Geo_", geo),
        of("ActionGeo_", geo),
    ]
    .concat()
}

/// Columns by name; `:i` are whole numbers, `:f` floats, all others text.
fn columns(names: &str) -> Vec<Column> {
    let column = |name: &str| match name.split_once(':') {
        Some((name, "i")) => Column::new(name, Kind::Int64).nullable(),
        Some((name, _)) => Column::new(name, Kind::Float64).nullable(),
        None => Column::new(name, Kind::Utf8).nullable(),
    };
    names.split_ascii_whitespace().map(column).collect()
}
