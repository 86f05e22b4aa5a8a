"""Texts of many kinds and languages to measure token counts on: our own, the same on every machine.

``corpora()`` makes them from invented sentences, snippets and a fixed seed. Nothing is read from
files, so counts of other programs can be recorded beside them.
"""

from __future__ import annotations

import json
import random
import string
import uuid
from base64 import b64encode

CHUNK = 200
"""Characters of a chunk."""

_SENTENCES = {
    "English": """The museum opens at nine, and most visitors come before lunch.
She had read the letter twice before she noticed that the last page was missing.
If the river keeps rising, the lower bridge will have to be closed by Thursday evening.
Our supplier in Lisbon confirmed that the replacement parts were shipped yesterday.
Nobody could explain why the old clock in the hall struck thirteen.
Please summarise the attached report in three short paragraphs and list the open questions.
The committee agreed to postpone its decision until the figures had been checked again.
You are a helpful assistant; answer politely, and say so when you do not know something.
A good carpenter measures twice, cuts once, and sweeps the floor before going home.
When the orchestra finally began to play, even the restless children at the back fell silent.
We regret to inform you that your application was not successful on this occasion.
The patient reports mild headaches, occasional dizziness and difficulty in concentrating.
Interest rates have remained unchanged for months, although economists expected a cut.
What would you recommend for a family of four with two vegetarians and a very small oven?
Photosynthesis converts light into chemical energy, which plants store as sugars.
The defendant's lawyer argued that the contract had never been properly signed.""",
    "German": """Der Zug nach Hamburg fährt heute wegen einer Betriebsstörung erst um halb vier ab.
Die Geschwindigkeitsbegrenzung auf der Bundesstraße wurde vergangene Woche aufgehoben.
Könnten Sie mir bitte erklären, weshalb die Rechnung zweimal abgebucht worden ist?
Im Frühling blühen die Kirschbäume am Ufer, und die Straßencafés öffnen wieder.
Seine Großmutter erzählte jeden Abend Geschichten über Zwerge, Riesen und Müllerstöchter.""",
    "French": """La bibliothèque restera fermée jusqu'à la fin des travaux, prévue au mois de juin.
Elle n'a jamais compris pourquoi son frère préférait voyager seul.
Veuillez résumer le document ci-joint en quelques phrases claires et précises.
L'été dernier, nous avons loué une maison près de l'océan, où les enfants pêchaient.""",
    "Spanish": """El tren de las ocho llegó con retraso y perdimos la reunión con el director.
Mañana lloverá en toda la región, así que será mejor aplazar la excursión.
¿Podría usted explicarme por qué aparece este cargo en mi cuenta bancaria?
Los niños construyeron un castillo de arena más alto que ellos mismos.""",
    "Portuguese": """A reunião começou tarde porque ninguém encontrava a chave do salão.
Não sei se amanhã haverá pão fresco na padaria da esquina.
Por favor, traduza este parágrafo e explique as expressões mais difíceis.
Os pescadores voltaram ao amanhecer com as redes cheias de sardinhas.""",
    "Italian": """Il negozio chiude alle sette, ma il proprietario resta spesso più a lungo.
Non abbiamo ancora deciso dove trascorrere le vacanze con i bambini.
Potrebbe spiegarmi come funziona l'abbonamento mensile e quanto costa?
La nonna preparava ogni domenica un sugo che profumava tutta la scala.""",
    "Polish": """Pociąg do Gdańska odjeżdża z peronu trzeciego za dwadzieścia minut.
Wczoraj wieczorem zgubiłem klucze i musiałem czekać na sąsiadkę.
Proszę wyjaśnić, dlaczego opłata została pobrana dwukrotnie.
Dzieci zbierały żołędzie, a starszy pan karmił kaczki nad stawem.""",
    "Finnish": """Kirjasto on suljettu remontin vuoksi syyskuun loppuun saakka.
Voisitteko ystävällisesti kertoa, milloin tilaukseni toimitetaan?
Mökin pihalla kasvaa vanha omenapuu, jonka isoisäni istutti.""",
    "Hungarian": """A könyvtár a felújítás miatt szeptember végéig zárva tart.
Kérem, magyarázza el, miért vonták le kétszer a díjat a számlámról.
A nagymama minden vasárnap friss kenyeret sütött az unokáinak.""",
    "Turkish": """Kütüphane tadilat nedeniyle eylül ayının sonuna kadar kapalı olacak.
Lütfen ücretin neden iki kez tahsil edildiğini açıklar mısınız?
Çocuklar göl kenarında ördeklere ekmek attı, sonra eve yürüdüler.""",
    "Vietnamese": """Thư viện sẽ đóng cửa để sửa chữa cho đến hết tháng chín.
Xin vui lòng giải thích tại sao tài khoản của tôi bị trừ tiền hai lần.
Bà ngoại thường kể chuyện cổ tích cho các cháu nghe mỗi buổi tối.""",
    "Indonesian": """Perpustakaan akan ditutup untuk perbaikan sampai akhir bulan September.
Mohon jelaskan mengapa biaya langganan saya ditagih dua kali bulan ini.
Anak-anak memberi makan bebek di tepi danau, lalu berjalan pulang bersama.""",
    "Swahili": """Maktaba itafungwa kwa ajili ya ukarabati hadi mwisho wa mwezi wa Septemba.
Tafadhali nieleze kwa nini nimetozwa ada mara mbili mwezi huu.
Watoto waliwalisha bata kando ya ziwa, kisha wakarudi nyumbani kwa miguu.""",
    "Russian": """Библиотека будет закрыта на ремонт до конца сентября.
Пожалуйста, объясните, почему с моего счёта дважды списали оплату.
Бабушка каждый вечер рассказывала внукам сказки о дальних странах.
Поезд на Казань отправляется с третьего пути через двадцать минут.""",
    "Ukrainian": """Бібліотека буде зачинена на ремонт до кінця вересня.
Будь ласка, поясніть, чому з мого рахунку двічі зняли оплату.
Щовечора бабуся розповідала онукам казки про далекі країни.""",
    "Greek": """Η βιβλιοθήκη θα παραμείνει κλειστή λόγω εργασιών έως το τέλος Σεπτεμβρίου.
Παρακαλώ εξηγήστε μου γιατί χρεώθηκα δύο φορές αυτόν τον μήνα.
Τα παιδιά τάισαν τις πάπιες στη λίμνη και μετά γύρισαν στο σπίτι.""",
    "Hebrew": """הספרייה תהיה סגורה לרגל שיפוצים עד סוף ספטמבר.
אנא הסבירו לי מדוע חויבתי פעמיים בחודש הזה.
הילדים האכילו את הברווזים ליד האגם ואחר כך חזרו הביתה ברגל.""",
    "Arabic": """ستبقى المكتبة مغلقة بسبب أعمال الصيانة حتى نهاية شهر سبتمبر.
يرجى توضيح سبب خصم الرسوم من حسابي مرتين هذا الشهر.
كانت الجدة تحكي لأحفادها كل مساء حكايات عن بلاد بعيدة.
وصل القطار متأخرا فلم نتمكن من حضور الاجتماع في موعده.""",
    "Persian": """کتابخانه به دلیل تعمیرات تا پایان شهریور بسته خواهد بود.
لطفاً توضیح دهید چرا هزینه اشتراک من دو بار کسر شده است.
مادربزرگ هر شب برای نوه‌هایش قصه‌هایی از سرزمین‌های دور می‌گفت.""",
    "Urdu": """لائبریری مرمت کی وجہ سے ستمبر کے آخر تک بند رہے گی۔
براہ کرم بتائیں کہ اس مہینے میرے کھاتے سے دو بار رقم کیوں کاٹی گئی۔
بچے جھیل کے کنارے بطخوں کو روٹی کھلا کر پیدل گھر واپس آئے۔""",
    "Hindi": """मरम्मत के कारण पुस्तकालय सितंबर के अंत तक बंद रहेगा।
कृपया बताइए कि इस महीने मेरे खाते से दो बार शुल्क क्यों काटा गया।
दादी हर शाम बच्चों को दूर देशों की कहानियाँ सुनाया करती थीं।
रेलगाड़ी देर से आई, इसलिए हम बैठक में समय पर नहीं पहुँच सके।
आज मौसम बहुत अच्छा है और लोग बगीचे में घूम रहे हैं।""",
    "Bengali": """মেরামতের কারণে গ্রন্থাগার সেপ্টেম্বরের শেষ পর্যন্ত বন্ধ থাকবে।
অনুগ্রহ করে বলুন এই মাসে আমার হিসাব থেকে দুবার টাকা কেন কাটা হয়েছে।
ঠাকুরমা প্রতিদিন সন্ধ্যায় নাতি নাতনিদের দূর দেশের গল্প শোনাতেন।""",
    "Tamil": """பழுது பார்க்கும் பணி காரணமாக நூலகம் செப்டம்பர் இறுதி வரை மூடப்பட்டிருக்கும்.
இந்த மாதம் என் கணக்கில் இருந்து இரண்டு முறை கட்டணம் ஏன் எடுக்கப்பட்டது என்று சொல்லுங்கள்.
பாட்டி ஒவ்வொரு மாலையும் பேரக்குழந்தைகளுக்குக் கதைகள் சொல்வாள்.""",
    "Telugu": """మరమ్మతుల కారణంగా గ్రంథాలయం సెప్టెంబర్ చివరి వరకు మూసి ఉంటుంది.
ఈ నెల నా ఖాతా నుండి రెండుసార్లు రుసుము ఎందుకు తీసుకున్నారో దయచేసి చెప్పండి.
అమ్మమ్మ ప్రతి సాయంత్రం పిల్లలకు కథలు చెప్పేది.""",
    "Thai": """ห้องสมุดจะปิดปรับปรุงจนถึงสิ้นเดือนกันยายน
กรุณาอธิบายว่าทำไมเดือนนี้บัญชีของฉันถูกหักค่าบริการสองครั้ง
คุณยายเล่านิทานให้หลานฟังทุกเย็นก่อนเข้านอน""",
    "Georgian": """ბიბლიოთეკა რემონტის გამო სექტემბრის ბოლომდე დაკეტილი იქნება.
გთხოვთ ამიხსნათ, რატომ ჩამომეჭრა თანხა ამ თვეში ორჯერ.
ბებია ყოველ საღამოს შვილიშვილებს ზღაპრებს უყვებოდა.""",
    "Armenian": """Գրադարանը վերանորոգման պատճառով փակ կլինի մինչև սեպտեմբերի վերջը։
Խնդրում եմ բացատրեք, թե ինչու է այս ամիս գումարը երկու անգամ գանձվել։
Տատիկը ամեն երեկո թոռներին հեքիաթներ էր պատմում։""",
    "Amharic": """ቤተ መጻሕፍቱ በእድሳት ምክንያት እስከ መስከረም መጨረሻ ድረስ ዝግ ይሆናል።
እባክዎ በዚህ ወር ክፍያው ለምን ሁለት ጊዜ እንደተቆረጠ ያስረዱኝ።
አያት በየምሽቱ ለልጅ ልጆቿ ተረት ትነግራቸው ነበር።""",
    "Chinese": """图书馆因装修将关闭至九月底，给您带来不便敬请谅解。
请您解释一下，为什么这个月我的账户被扣了两次费用？
奶奶每天晚上都给孙子们讲遥远国度的故事。
火车晚点了，所以我们没能准时参加下午的会议。
今天天气很好，公园里有许多人在散步、下棋和放风筝。
经济学家预计利率会下降，但央行决定维持不变。""",
    "Japanese": """図書館は改修工事のため九月末まで休館いたします。
今月、私の口座から料金が二回引き落とされた理由を教えてください。
祖母は毎晩、孫たちに遠い国の物語を語ってくれました。
電車が遅れたので、会議の開始時間に間に合いませんでした。""",
    "Korean": """도서관은 수리 때문에 구월 말까지 문을 닫습니다.
이번 달에 제 계좌에서 요금이 두 번 빠져나간 이유를 설명해 주세요.
할머니는 저녁마다 손자들에게 먼 나라의 이야기를 들려주셨습니다.""",
}

_CODE = '''def total(rows: list[Row], since: datetime | None = None) -> Decimal:
    """Add up the cost of all rows recorded since then."""
    result = Decimal(0)
    for row in rows:
        if since is not None and row.recorded_at < since:
            continue
        result += row.cost if row.cost is not None else Decimal("0.00")
    return result
@@
class OrderService {
  constructor(private readonly repository: OrderRepository, private logger: Logger) {}

  async findById(id: string): Promise<Order | undefined> {
    const order = await this.repository.findOne({ where: { id }, relations: ["items"] });
    if (!order) {
      this.logger.warn(`Order ${id} was not found`);
    }
    return order;
  }
}
@@
SELECT c.name, COUNT(*) AS orders, SUM(o.amount) AS total
FROM customers AS c
LEFT JOIN orders AS o ON o.customer_id = c.id AND o.created_at >= '2026-01-01'
WHERE c.country IN ('DE', 'FR') AND c.deleted_at IS NULL
GROUP BY c.name
HAVING SUM(o.amount) > 100.00
ORDER BY total DESC;
@@
static int read_header(struct reader *r, uint8_t *out, size_t len)
{
    size_t n = 0;

    while (n < len) {
        ssize_t got = read(r->fd, out + n, len - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;  /* end of file, or an error */
        n += (size_t)got;
    }
    return 0;
}
@@
<div class="card mb-3" id="summary">
  <h2 class="card-title">{{ title }}</h2>
  <ul>
    {% for item in items %}
      <li><a href="/items/{{ item.id }}?ref=list">{{ item.name }}</a> &ndash; {{ item.price }}</li>
    {% endfor %}
  </ul>
</div>
@@
@pytest.fixture
def client(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'test.db'}")
    with TestClient(create_app()) as client:
        yield client


def test_an_unknown_user_gets_404(client):
    response = client.get("/users/42", headers={"Authorization": "Bearer test"})
    assert response.status_code == 404
    assert response.json()["detail"] == "Not Found"
@@
func (s *Server) handleUpload(w http.ResponseWriter, r *http.Request) {
	file, header, err := r.FormFile("file")
	if err != nil {
		http.Error(w, "missing file", http.StatusBadRequest)
		return
	}
	defer file.Close()
	log.Printf("received %s (%d bytes)", header.Filename, header.Size)
}
@@
#!/bin/sh
set -eu
for name in "$@"; do
    if [ ! -f "$name" ]; then
        echo "$name: no such file" >&2
        exit 1
    fi
    gzip -9 < "$name" > "$name.gz" && rm -- "$name"
done
'''
_EMOJI = "😀😂❤️👍🎉🔥🙏😊💯✨🚀👏🍕🌍🐱‍🐉👩‍👩‍👧‍👦🏳️‍🌈🤷🏿‍♀️🇩🇪🇧🇷🥑🦄🧩"
_LETTERS = string.ascii_letters + string.digits


def corpora(chunks: int = 60) -> dict[str, list[str]]:
    """Chunks of ``CHUNK`` characters by kind, of English and code four times as many."""
    texts = {name: _prose(name, 4 if name == "English" else 1, chunks) for name in _SENTENCES}
    texts["code"] = _shuffled("code", _CODE.split("@@\n"), 4 * chunks * CHUNK, "\n")
    texts |= {name: _data(name, chunks * CHUNK) for name in _DATA}
    return {
        name: [text[start : start + CHUNK] for start in range(0, len(text) - CHUNK + 1, CHUNK)]
        for name, text in texts.items()
    }


def _prose(name: str, times: int, chunks: int) -> str:
    sentences = _SENTENCES[name].split("\n")
    return _shuffled(name, sentences, times * chunks * CHUNK, " ")


def _shuffled(name: str, parts: list[str], length: int, between: str) -> str:
    """The *parts* in ever new order, and cut anew each time."""
    chance, pieces, size = random.Random(name), [], 0
    while size < length:
        chance.shuffle(parts)
        pieces += parts
        size += sum(map(len, parts))
    return between.join(pieces)[:length]


def _data(name: str, length: int) -> str:
    chance, lines, size = random.Random(name), [], 0
    while size < length:
        lines.append(_DATA[name](chance))
        size += len(lines[-1])
    return "".join(lines)[:length]


def _number(chance: random.Random) -> str:
    return str(chance.randrange(10 ** chance.randint(1, 12)))


def _id(chance: random.Random) -> str:
    return "".join(chance.choices(_LETTERS, k=chance.randint(8, 28)))


def _uuid(chance: random.Random) -> uuid.UUID:
    return uuid.UUID(int=chance.getrandbits(128))


def _record(chance: random.Random) -> dict[str, object]:
    return {
        "id": chance.randrange(10**6),
        "created_at": _moment(chance),
        "name": chance.choice(["Anna Berg", "J. Smith", "Li Wei"]),
        "price": round(chance.random() * 100, 2),
        "tags": chance.sample(["new", "sale", "red", "blue"], 2),
        "isActive": chance.random() < 0.5,
        "key": _id(chance),
    }


def _moment(chance: random.Random) -> str:
    month, day, hour = chance.randint(1, 12), chance.randint(1, 28), chance.randint(0, 23)
    return f"2026-{month:02}-{day:02}T{hour:02}:05:00Z"


_DATA = {
    "digits": lambda chance: f"{chance.randrange(10**9):09}",
    "numbers": lambda chance: _number(chance) + " ",
    "CSV": lambda chance: (
        f"{chance.randrange(10**6)},{chance.random() * 1000:.2f},{_moment(chance)[:10]},"
        f"{chance.choice(['open', 'paid', 'EUR'])},{chance.randint(0, 99)}\n"
    ),
    "UUIDs": lambda chance: f"{_uuid(chance)}\n",
    "hex": lambda chance: _uuid(chance).hex,
    "ids": lambda chance: f"{chance.choice(['ord_', 'cus_', 'req-', 'sk-'])}{_id(chance)}\n",
    "base64": lambda chance: b64encode(chance.randbytes(30)).decode(),
    "JSON": lambda chance: json.dumps(_record(chance)) + "\n",
    "indented JSON": lambda chance: json.dumps(_record(chance), indent=4) + "\n",
    "escaped JSON": lambda chance: json.dumps(json.dumps(_record(chance))) + "\n",
    "URLs": lambda chance: (
        f"https://www.example.com/{chance.choice(['items', 'api/v1', 'blog'])}/{_number(chance)}"
        f"?q={_id(chance)}&page={chance.randint(1, 50)}#top\n"
    ),
    "log": lambda chance: (
        f"{_moment(chance)} [{chance.choice(['INFO', 'WARN'])}] worker-{chance.randint(1, 32)} "
        f"req={_uuid(chance).hex[:12]} took {chance.randint(1, 5000)}ms "
        f"10.0.{chance.randint(0, 255)}.{chance.randint(0, 255)}\n"
    ),
    "table": lambda chance: (
        f"| {chance.choice(['Berlin', 'Paris', 'Oslo']):<12} | {chance.randrange(10**5):>8,} |\n"
        + chance.choice(["", f"|{'-' * 14}|{'-' * 10}|\n"])
    ),
    "blanks": lambda chance: (
        chance.choice([" ", "\t", "\n"]) * chance.randint(1, 12) + chance.choice(["x", "if", "};"])
    ),
    "emoji": lambda chance: chance.choice(_EMOJI) * chance.choice([1, 1, 2]),
    "chat with emoji": lambda chance: (
        chance.choice(["ok", "great", "see you", "lol", "thanks"]) + chance.choice(_EMOJI) + " "
    ),
    "symbols": lambda chance: chance.choice("∀∃∈∑∏√∞≈≠≤≥→⇒αβγδλμπσωΔΩℝ×÷°′²₁│─┌┐└┘• …–“”€£"),
}
