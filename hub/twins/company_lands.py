"""Where the invented people come from: names, places and ways of writing, by country. Data, and how to read it.

Telephone numbers come from the ranges that regulators keep free for invention where there are such (Germany, France,
United Kingdom, United States), else from ordinary ranges at random.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Land:
    """One country. Names are "native" or "native/Latin letters"; several Latin spellings are split by "|"."""

    code: str  # ISO 3166 alpha-2
    calling: str  # country calling code
    trunk: str  # digits dialled before an area code at home
    language: str  # ISO 639-1
    currency: str
    share: int  # weight among the people
    spellings: tuple[str, ...]  # how people write the country
    women: tuple[str, ...]
    men: tuple[str, ...]
    families: tuple[str, ...]
    cities: tuple[str, ...]  # "name|postcode pattern|state"; # is a digit
    streets: tuple[str, ...]  # {n} is the house number
    fixed: tuple[str, ...]  # "area code and first digits ###": digits after the trunk, # is any digit
    mobile: tuple[str, ...]
    area: int  # digits of an area code, for those who set it apart
    women_families: bool = False  # family names ending in -ski become -ska for women


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


LANDS: tuple[Land, ...] = (
    Land(
        code="DE",
        area=2,
        calling="49",
        trunk="0",
        language="de",
        currency="EUR",
        share=34,
        spellings=("DE", "Germany", "Deutschland", "DEU", "germany"),
        women=_words("Anna,Änne/Aenne,Käthe/Kaethe,Sabine,Mareike,Ursula,Birgit,Heike,Jana,Lea,Nele"),
        men=_words("Jörg/Joerg,Günther/Guenther,Björn/Bjoern,Lukas,Matthias,Uwe,Karl-Heinz,Jan,Felix,Thorsten,Emil"),
        families=_words(
            "Müller/Mueller|Muller,Schröder/Schroeder,Weiß/Weiss,Köhler/Koehler,Schäfer/Schaefer,Fischer,Wagner,Becker,"
            "von der Heide,Groß/Gross,Jäger/Jaeger,Hofmann,Krüger/Krueger,Lang,Böhm/Boehm,Vogt,Özdemir/Oezdemir,Seidel,"
            "Graf,Zimmermann,Lehmann-Roth,Brandt,Kaiser,Sommer,Winter,Huber,Lindner,Pohl,Stein,Arnold,Kühn/Kuehn"
        ),
        cities=(
            *("Berlin|10###|Berlin", "Köln|506##|NRW", "München|803##|Bayern", "Hamburg|200##|Hamburg"),
            "Frankfurt am Main|603##|Hessen",
        ),
        streets=("Hauptstraße {n}", "Goethestr. {n}", "Am Markt {n}", "Lindenweg {n}a", "Königsallee {n}"),
        fixed=("3023125###", "4066969###", "8999998###", "2214710###", "6990009###"),
        mobile=("17139200##", "15228817386", "1729925904"),
    ),
    Land(
        code="FR",
        area=1,
        calling="33",
        trunk="0",
        language="fr",
        currency="EUR",
        share=16,
        spellings=("FR", "France", "FRANCE", "FRA"),
        women=_words(
            "Élodie/Elodie,Chloé/Chloe,Anaïs/Anais,Françoise/Francoise,Marie-Claire,Inès/Ines,Léa/Lea,Margaux"
        ),
        men=_words("François/Francois,Jérôme/Jerome,Jean-Luc,Rémi/Remi,Benoît/Benoit,Étienne/Etienne,Loïc/Loic,Hugo"),
        families=_words(
            "Lefèvre/Lefevre,Béranger/Beranger,Durand,D'Aubigné/D'Aubigne,Gauthier,Pelletier,Noël/Noel,Besançon/Besancon,"
            "Moreau,Laurent,Rousseau,Chevalier,Bonnet,Mercier,Le Goff,Dupont-Leroy,Fournier,Girard,Perrin,Colin,Leclerc"
        ),
        cities=("Paris|750##|Île-de-France", "Lyon|690##|", "Orléans|450##|", "Besançon|250##|", "Marseille|130##|"),
        streets=("{n} rue de l'Église", "{n}, avenue Jean Jaurès", "{n} bis boulevard Voltaire", "{n} place Carnot"),
        fixed=("19900####", "26191####", "46571####", "53649####"),
        mobile=("63998####",),
    ),
    Land(
        code="PL",
        area=2,
        calling="48",
        trunk="",
        language="pl",
        currency="PLN",
        share=12,
        spellings=("PL", "Poland", "Polska", "POL"),
        women=_words(
            "Małgorzata/Malgorzata,Łucja/Lucja,Agnieszka,Zofia,Katarzyna,Żaneta/Zaneta,Joanna,Elżbieta/Elzbieta"
        ),
        men=_words("Paweł/Pawel,Michał/Michal,Grzegorz,Łukasz/Lukasz,Wojciech,Stanisław/Stanislaw,Tomasz,Krzysztof"),
        families=_words(
            "Kowalski,Wiśniewski/Wisniewski,Wójcik/Wojcik,Kamiński/Kaminski,Zieliński/Zielinski,Woźniak/Wozniak,"
            "Szymański/Szymanski,Dąbrowski/Dabrowski,Król/Krol,Jabłoński/Jablonski,Gołąb/Golab,Sikora,Bąk/Bak,Lis,Mróz/Mroz"
        ),
        cities=("Warszawa|00-###|mazowieckie", "Kraków|30-###|małopolskie", "Łódź|90-###|łódzkie", "Gdańsk|80-###|"),
        streets=("ul. Długa {n}", "ul. Świętojańska {n}/4", "al. Jerozolimskie {n}", "os. Złote {n}"),
        fixed=("22######7", "12######5", "42######3"),
        mobile=("50#######", "60#######", "79#######"),
        women_families=True,
    ),
    Land(
        code="GR",
        area=3,
        calling="30",
        trunk="",
        language="el",
        currency="EUR",
        share=7,
        spellings=("GR", "Greece", "GRC"),
        women=_words("Ελένη/Eleni,Σοφία/Sofia,Αικατερίνη/Aikaterini|Katerina,Δήμητρα/Dimitra,Χρυσούλα/Chrysoula"),
        men=_words(
            "Γεώργιος/Georgios|Giorgos,Νικόλαος/Nikolaos|Nikos,Ιωάννης/Ioannis|Giannis,Κωνσταντίνος/Konstantinos"
        ),
        families=_words(
            "Παπαδόπουλος/Papadopoulos,Οικονόμου/Oikonomou|Economou,Γεωργίου/Georgiou,Νικολαΐδης/Nikolaidis,"
            "Καραγιάννης/Karagiannis,Βλάχος/Vlachos,Αντωνίου/Antoniou,Μακρής/Makris,Δημητρίου/Dimitriou"
        ),
        cities=("Αθήνα|105 ##|", "Thessaloniki|546 ##|", "Πάτρα|262 ##|", "Ηράκλειο|712 ##|Κρήτη"),
        streets=("Ερμού {n}", "Leof. Kifisias {n}", "Αγίου Δημητρίου {n}", "Tsimiski {n}"),
        fixed=("210#######", "231#######"),
        mobile=("697#######", "694#######"),
    ),
    Land(
        code="JP",
        area=1,
        calling="81",
        trunk="0",
        language="ja",
        currency="JPY",
        share=7,
        spellings=("JP", "Japan", "日本", "JPN"),
        women=_words("陽子/Yoko|Yōko,美咲/Misaki,さくら/Sakura,愛/Ai,由美子/Yumiko,結衣/Yui"),
        men=_words("健/Ken,太郎/Taro|Tarō,大輔/Daisuke,翔太/Shota|Shōta,誠/Makoto,一郎/Ichiro|Ichirō"),
        families=_words(
            "佐藤/Sato|Satō,鈴木/Suzuki,高橋/Takahashi,田中/Tanaka,渡辺/Watanabe,伊藤/Ito|Itō,山本/Yamamoto,中村/Nakamura,"
            "小林/Kobayashi,加藤/Kato|Katō,吉田/Yoshida,大野/Ono|Ōno,石川/Ishikawa,森/Mori"
        ),
        cities=("東京都千代田区|100-00##|", "Tokyo|150-00##|", "大阪市|530-00##|大阪府", "Kyoto|600-80##|"),
        streets=("丸の内{n}-2-3", "{n}-4-1 Jinnan, Shibuya", "梅田{n}丁目5", "Kawaramachi {n}"),
        fixed=("33#######", "66#######"),
        mobile=("90########", "80########"),
    ),
    Land(
        code="AE",
        area=1,
        calling="971",
        trunk="0",
        language="ar",
        currency="AED",
        share=6,
        spellings=("AE", "United Arab Emirates", "UAE", "ARE"),
        women=_words("فاطمة/Fatima|Fatma,مريم/Maryam|Mariam,عائشة/Aisha,نورة/Noura|Nora,ليلى/Layla|Leila,هند/Hind"),
        men=_words(
            "محمد/Mohammed|Muhammad|Mohamed,أحمد/Ahmed|Ahmad,خالد/Khalid|Khaled,عبد الله/Abdullah,يوسف/Yousef|Youssef"
        ),
        families=_words(
            "العلي/Al Ali|Al-Ali,المنصوري/Al Mansoori,الهاشمي/Al Hashemi|Al-Hashimi,النعيمي/Al Nuaimi,"
            "بن راشد/bin Rashid,حداد/Haddad,الشامسي/Al Shamsi,خوري/Khoury|Khouri,الزعابي/Al Zaabi"
        ),
        cities=("Dubai||Dubai", "دبي||", "Abu Dhabi||Abu Dhabi", "الشارقة||"),
        streets=("Sheikh Zayed Rd {n}", "شارع الخليج {n}", "Al Wasl Road, Villa {n}", "P.O. Box {n}"),
        fixed=("43######", "26######"),
        mobile=("50#######", "55#######"),
    ),
    Land(
        code="GB",
        area=3,
        calling="44",
        trunk="0",
        language="en",
        currency="GBP",
        share=9,
        spellings=("GB", "United Kingdom", "UK", "Great Britain", "GBR"),
        women=_words("Olivia,Siân/Sian,Charlotte,Zoë/Zoe,Victoria,Fiona,Margaret,Beth"),
        men=_words("James,Seán/Sean,Rhys,William,Robert,Edward,Hamish,Oliver"),
        families=_words(
            "Smith,O'Connor,MacLeod,Hughes-Davies,Taylor,Walker,Brontë/Bronte,Evans,McKay,Clarke,Shaw,Turner"
        ),
        cities=("London|EC1A #BB|", "Manchester|M1 #AE|Greater Manchester", "Cardiff|CF10 #AA|", "Edinburgh|EH1 #YZ|"),
        streets=("{n} High Street", "Flat 3, {n} Mill Lane", "{n} St. Mary's Road", "The Old Forge, {n} Church Walk"),
        fixed=("2079460###", "1614960###", "1314960###"),
        mobile=("7700900###",),
    ),
    Land(
        code="US",
        area=3,
        calling="1",
        trunk="",
        language="en",
        currency="USD",
        share=9,
        spellings=("US", "USA", "United States", "U.S.A."),
        women=_words("Jennifer,Katherine,Renée/Renee,Ashley,Guadalupe,Emily,Deborah,Mary-Ann"),
        men=_words("Robert,José/Jose,Michael,William,Tyrone,Andrew,Christopher,Samuel"),
        families=_words(
            "Johnson,Garcia,Nguyen,Washington,Núñez/Nunez,O'Brien,Van Buren,Lee,Anderson,Patel,Cohen,Young"
        ),
        cities=("New York|100##|NY", "Austin|787##|TX", "San José|951##|CA", "Minneapolis|554##|MN"),
        streets=(
            "{n} Main St",
            "{n} N. 5th Ave Apt 4B",
            "{n} Martin Luther King Jr. Blvd",
            "{n} Elm Street, Suite 210",
        ),
        fixed=("21255501##", "51255501##", "40855501##", "61255501##", "64655501##"),
        mobile=("91755501##", "73755501##", "65055501##"),
    ),
)

NICKNAMES = {
    "Robert": "Bob",
    "William": "Bill",
    "Katherine": "Kate",
    "Michael": "Mike",
    "James": "Jim",
    "Edward": "Ted",
}
SUFFIXES = ("Jr.", "III", "PhD", "MD")
COMPANY_WORDS = _words(
    "Nord,Alpen,Rhein,Blau,Vega,Orion,Kepler,Lumen,Terra,Aqua,Solar,Delta,Omega,Fjord,Baltic,Iris,Cedar,Falcon,Quartz,Ember"
)
COMPANY_TRADES = _words("Bau,Logistik,Systems,Foods,Textil,Energy,Media,Consulting,Robotics,Pharma,Travel,Design")
COMPANY_FORMS = {
    "DE": ("GmbH", "AG", "GmbH & Co. KG"),
    "FR": ("SAS", "SARL"),
    "PL": ("Sp. z o.o.", "S.A."),
    "GR": ("A.E.", "E.P.E."),
    "JP": ("株式会社", "K.K."),
    "AE": ("LLC", "FZE"),
    "GB": ("Ltd", "plc"),
    "US": ("Inc.", "LLC"),
}
TITLES = _words(
    "CEO,Head of Sales,Einkäuferin,Geschäftsführer,Directrice commerciale,IT Manager,Kierownik projektu,Office Manager,"
    "Software Engineer,Υπεύθυνος πωλήσεων,営業部長,مدير المشتريات,Marketing Manager,Buyer,Founder & Partner,Controller"
)
