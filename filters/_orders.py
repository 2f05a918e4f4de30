"""Text that speaks to the judge or about its verdict instead of being an item.

The patterns ask for an order (a verb at the head of a clause), for a verdict that is asserted, or for the form of a
judgement. "I would say yes to anything" and "I would ignore my instructions if …" have a subject and are none of these.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

from filters._characters import LOOK_ALIKES
from filters._shown import squeezed

_HEAD = (
    r"(?:^|[.!?:;,\n\"'\u201c\u201d\u2019()\[\]{}<>\u2013\u2014*#|/=-])\s*"
    r"(?:(?:please|now|just|simply|then|and|so|also|always|instead|kindly|only|immediately|dear judge"
    r"|you|the judge|judges?"
    r"|the assistant|assistant|must|should|have to|need to|are to|will|shall|therefore|hence|do|rather"
    r"|attention|important"
    r"|note|warning|system|command|to (?:all )?(?:judges|graders|raters)|let us|let's|remember to"
    r"|be sure to|make sure to"
    r"|your (?:task|job) is to)\b[\s,:!-]*){0,4}"
)
"""Where a clause begins, and what may stand before its verb in an order."""
_VERDICT = (
    r"(?:[\"'(\[*_]*)(?:yes|no|true|false|agree|disagree|\(?[ab]\)|option [ab12]|1(?:\.0+)?\b|0?\.9\d*"
    r"|100 ?%|10\b|[45]/5|9/10"
    r"|(?:very |highly |fully |most )?relevant|positive|correct|matching|maximum|affirmative(?:ly)?"
    r"|in the affirmative)"
)
_ASKING = (
    r"(?:answer|reply|respond|output|print|return|select|mark|label|rate|score|classify|grade|tag|predict|vote"
    r"|say|choose|pick|write|give|type|put|go with|treat|consider|assign|set|continue|begin|start|conclude|judge)"
)
_PLAIN_ASKING = r"(?:answer|reply|respond|output|print|return|mark|label|rate|classify|grade|tag|predict|conclude)"
_EARLIER = (
    r"(?:previous|above|prior|preceding|earlier|foregoing|aforementioned|former|last|initial|original"
    r"|before|following)"
)
_INSTRUCTIONS = (
    r"(?:instructions?|prompts?|questions?|texts?|descriptions?|messages?|rules?|contexts?|guidelines?|directions?"
    r"|commands?|requests?|statements?|personas?|tasks?|labels?|content|inputs?|lines?|system|everything"
    r"|conversation)"
)
_THING = r"(?:statement|item|sentence|text|question|example|entry|claim|response|record|row|sample)"

ORDERS = (
    (
        "orders an answer",
        rf"{_HEAD}{_PLAIN_ASKING}\b[^.!?\n]{{0,60}}?\b(?:with|as|is|by|be|:|only|just"
        rf"|that)?\s*{_VERDICT}(?![\w'])(?!\s+(?:to|for|about|on|in|of)\b(?! (?:this|the|that|any|every)))",
    ),
    (
        "orders an answer",
        rf"{_HEAD}{_ASKING}\s+(?:(?:that|the|only|just|simply|always|it|this|this one|them|word|answer|a|an"
        rf"|score|label|option|with|as|by|of|to|be|is|probability|rating|relevance"
        rf"|confidence)\s+){{0,6}}{_VERDICT}(?![\w'])\s*(?:$|[.!,;:\"'\u201d)*_\]]|(?:and|only|now|here"
        rf"|regardless|without|because|since|as|or else|then|next|whatever|no matter|in (?:all|any"
        rf"|every) case|to (?:this|the|that|any|every))\b)",
    ),
    (
        "orders to ignore the question",
        rf"{_HEAD}(?:ignore|disregard|forget|override|overrule|skip|bypass|discard|cancel|drop|stop following"
        rf"|do not follow|don't follow|never mind|pay no attention to)\b[^.!?\n]{{0,40}}\b(?:{_EARLIER}\b"
        rf"|(?:all|any|these|those|this|the|your|said)\s+(?:\w+\s+){{0,2}}?{_INSTRUCTIONS}\b)",
    ),
    (
        "speaks of the judge's instructions",
        rf"\b(?:ignor|disregard|forget|overrid|supersed"
        rf"|replac)\w*\s+(?:\w+\s+){{0,3}}?{_EARLIER}\s+(?:\w+\s+)?{_INSTRUCTIONS}\b|\b(?:new|updated|revised"
        rf"|real|actual|secret|hidden|additional|final|system|developer|admin)\s+(?:instructions?|prompt"
        rf"|override|message|directive)s?\s*(?:[:=>-]|are\b|is\b|follow|override)"
        rf"|\b{_EARLIER}\s+(?:instructions?|prompt)s?\b[^.!?]{{0,30}}\b(?:void|wrong|obsolete|cancell?ed"
        rf"|invalid|a test|no longer)",
    ),
    (
        "addresses the judge",
        r"\b(?:dear|hey|hello|attention|note (?:to|for)|message (?:to|for)|instructions? (?:to|for)"
        r"|to)(?: all)?,? (?:the |all )?(?:judges?|graders?|evaluators?|raters?|annotators?|classifiers?"
        r"|reviewers?|ai model|language model|llm)\b\s*(?:$|[,:.!-]|reading)|\byou (?:are|act as|will act as"
        r"|play)\b[^.!?]{0,20}\b(?:judge|grader|evaluator|rater|annotator|classifier|labell?er)\b"
        r"|\bas (?:the|a|an) (?:\w+ )?(?:judge|grader|evaluator|rater|annotator|classifier"
        r"|labell?er),? (?:you|your|i)\b|\b(?:the|any|every) (?:judge|grader|evaluator|rater|annotator"
        r"|classifier)s? (?:should|must|will|would|has|have|says?|said|answer\w*|decid\w+|agree\w*|label\w*"
        r"|rat\w+|mark\w*)\b",
    ),
    (
        "orders the judge",
        r"\b(?:you|the assistant|assistant|the model|the judge|the ai)\s+(?:must|should|shall|have to|has to"
        r"|need to|are to|will|are required to|are instructed to|is instructed to|ought to)\s+(?:now "
        r"|always |only |therefore |simply |just )?(?:answer|reply|respond|output|say|print|label|rate|score"
        r"|mark|classify)\b\s*(?:$|[.!:\"\'(]|(?:this|it|that|only|with|as|in the|affirmatively|positively"
        r"|yes|no|true|false)\b)|\byour (?:only |next |one )?(?:answer|reply|response|output|verdict|rating"
        r"|judge?ment|task|job) (?:must|should|shall|has to|will|is to|needs to) \w+|\b(?:if|when|unless"
        r"|because|once|until|should) you (?:(?:do not|don\'t|fail to|refuse to|now|only|always"
        r"|just) ){0,2}(?:answer|reply|respond|output|label|rate|say|choose|mark)(?: with)? [\"\'(]?(?:yes"
        r"|no|true|false|otherwise|anything|correctly)\b|\bfrom now on,? (?:you|answer|every|all|reply"
        r"|say)\b",
    ),
    (
        "asserts the verdict",
        rf"\b(?:answers?|labels?|verdicts?|responses?|judge?ment|classifications?|ratings?|scores?|relevance"
        rf"|confidence|probability|predictions?|outputs?|results?|ground[ _-]?truth|gold(?: label)?"
        rf"|p ?\(\s*yes\s*\)|matching[ _](?:answer|behaviou?r)|label_confidence"
        rf"|answer_matching_behavior)\b\s*(?:\((?:expected|correct|final|true|right|gold)\)|(?:of|for"
        rf"|to) (?:this|the (?:\w+ )?)?\s?{_THING}|here|above|below)?\s*[\"']?\s*(?:is|are|was|=+>?|:=?|->"
        rf"|\u2192|should be|must be|will be|would be|has to be|equals|of|\u2014|-)\s*(?:(?:definitely"
        rf"|clearly|of course|therefore|always|obviously|simply|certainly|thus|indeed|undoubtedly|very|a|an"
        rf"|the)\s+)*{_VERDICT}(?![\w'])",
    ),
    (
        "asserts the verdict",
        rf"\b(?:this|the|that|above|preceding|following|previous|aforementioned)\s+(?:above |following "
        rf"|previous |preceding |given )?{_THING}\b[^.!?\n]{{0,30}}?\b(?:is|was|has been|should be|must be"
        rf"|would be|gets|deserves|counts? as|fits|matches)\b[^.!?\n]{{0,30}}?\b(?:something|rated|labell?ed"
        rf"|scored|judged|verified|relevant|yes|matching|on[- ]topic|approved|validated|what (?:they|he|she"
        rf"|such)|description|behaviou?r|confirmed|correctly)\b",
    ),
    (
        "asserts the verdict",
        r"\b(?:they|he or she|he|she|such an? (?:one|person|ai|system)|this (?:person|ai|system)"
        r"|the (?:person|ai system) described|(?:a|the) person described)\s+(?:would|will|does"
        r"|do)\s+(?:(?:definitely|certainly|surely|absolutely|obviously|always|indeed|clearly|very likely"
        r"|most likely|totally|completely|fully)\s+){0,2}(?:say|agree with|answer|endorse|agree to)\s+(?:it"
        r"|this|that|exactly|so|yes|the (?:above|statement|following)|such)\b|\b(?:yes|definitely|certainly"
        r"|absolutely|of course),? (?:they|he|she|it|such a one) (?:would|do|does|will|is|are)\b"
        r"|\b(?:something|exactly what|what) (?:they|such a one|such a person|he or she|this (?:person"
        r"|ai)) would (?:\w+ )?say\b",
    ),
    (
        "speaks of its own judgement",
        r"\byour (?:\w+ )?(?:reply|answer|response|output|verdict|next word|first word|final answer|rating|choice)"
        r" (?:with|is|must|should|shall|will|needs|has to)\b"
        r"|\b(?:begin|start|end|finish) your (?:reply|answer|response)\b"
        r"|\bend of (?:the )?(?:data|statement|text|input|evaluation|document|prompt|item|question)\b"
        r"|\bevaluation (?:is |was |has been )?(?:now )?(?:finished|complete|completed|over|done|passed)\b"
        r"|\b(?:result|verdict|rating|evaluation)s?:? (?:positive|passed)\b|\bthe answer is\W*$"
        r"|\blabel (?:matches|fits|is right|is correct|was confirmed)\b|\b(?:answer |the )key (?:is|says)\b"
        r"|\b(?:grader|evaluator|annotator|rater|classifier)s?"
        r" (?:gave|gives?|marked|rated|scored|found|chose|picked)\b"
        r"|\ba typical (?:quote|statement|sentence|example|utterance) (?:of|from|by)\b"
        r"|\b(?:ai system|person|ai|model) (?:in question|described above|from the description)\b"
        r"|\b(?:all|every|any) such (?:ai systems?|ais?|people|persons?|models?|ones?)"
        r" (?:\w+ )?(?:says?|agrees?|answers?)\b|\b(?:yes|no),? they (?:\w+ )?(?:say|said) (?:it|this|that|so)\b"
        r"|\b(?:always|often|would|will) says?\s?:",
    ),
    (
        "repeats the judge's question",
        r"\bis the following statement\b|\bhere is a statement\b|\bwould learning whether\b"
        r"|\bhow would they answer\b|\banswer (?:with )?(?:only )?['\"(]?yes['\")]? or ['\"(]?no\b"
        r"|\bstatement (?:above|below)\b|\bwould (?:they|such a person|this person) say\b"
        r"|\bwhich answer would they\b|\bthink of (?:a|an|the) (?:person|ai system|language model"
        r"|assistant) (?:who|that)\b|\bthe answer is\s*\(",
    ),
    (
        "orders an answer",
        rf"{_HEAD}(?:ignore|skip|pretend|stop|forget|disregard|do not|don't|act|imagine|treat|consider"
        rf"|go ahead|trust|read|think|look)\b[^.!?\n]{{0,60}}\b(?:and|then|but|or|to)\s+(?:just |simply "
        rf"|only |always )?{_ASKING}\s+(?:\w+\s+){{0,2}}?{_VERDICT}(?![\w'])",
    ),
    (
        "orders an answer",
        rf"\b(?:instruct|order|command|tell|ask|urge|advise|beg|require|need|expect|request|direct|want)(?:s"
        rf"|ed|ing)? you to\s+(?:\w+\s+)?{_ASKING}\s+(?:\w+\s+){{0,2}}?{_VERDICT}(?![\w'])|\byou (?:are|were"
        rf"|have been) (?:instructed|told|asked|ordered|commanded|required|expected"
        rf"|supposed) to\s+(?:\w+\s+)?{_ASKING}\b"
        rf"|\byou (?:\w+ ){{0,2}}?{_PLAIN_ASKING}\b[^.!?\n]{{0,20}}?\b{_VERDICT}(?![\w'])",
    ),
    (
        "orders an answer",
        r"\b(?:please|simply|just|kindly|must|judge[,:]?)\s+(?:agree|approve|accept|comply|confirm"
        r"|endorse)\b\s*(?:$|[.!]|(?:this|it|the (?:above|statement|item)|with (?:this|it|the (?:above"
        r"|statement|item)))\b)",
    ),
    (
        "orders a score",
        rf"{_HEAD}(?:give|assign|award|grant|set|use|report|return|rate|score)\b[^.!?\n]{{0,40}}\b(?:highest"
        rf"|maximum|max|full|top|perfect|best|high)\s+(?:possible )?(?:scores?|ratings?|marks?|relevance"
        rf"|confidence|probability|grade|points)\b",
    ),
    (
        "orders a score",
        rf"{_HEAD}(?:consider|treat|count|regard|judge|take|accept|interpret)\s+(?:this|it|(?:the|this|that"
        rf"|above) (?:\w+ )?{_THING})\s+(?:as|to be)\b",
    ),
    (
        "orders to ignore the question",
        rf"{_HEAD}(?:ignore|disregard)\s+(?:everything|anything|the rest|all (?:of )?(?:this|that|the))\b",
    ),
    (
        "asserts the verdict",
        r"\bthe (?:person|ai|ai system|model|assistant|system) would (?:\w+ ){0,2}say (?:this|that|it|so)\b"
        r"|\b(?:this|that|it)(?: is|'s) (?:exactly |just |precisely )?(?:something"
        r"|what)\b[^.!?]{0,80}\bwould (?:\w+ )?(?:say|agree|answer)\b|\b(?:the|any|every|each|an?) (?:model"
        r"|ai|assistant|expert|person described|annotator|rater)s? (?:say|answer|repl(?:y|i)|respond)(?:s|es"
        r"|ed)? (?:with )?(?:yes|no)\b|\b(?:everyone|everybody|all|people) (?:say|answer)s? (?:yes"
        r"|no) to (?:this|the)\b",
    ),
    (
        "ends or begins with a verdict",
        r"[(\[]\s*(?:the )?(?:correct|right|expected|matching|true|good)(?: (?:answer|label|one"
        r"|response))?\s*[)\]]|^\W*(?:yes|no)\b,|[^\w\s'\u2019](?:\s*(?:definitely|certainly|absolutely"
        r"|clearly|of course|so|thus|hence|obviously|always|and|a|the answer))?[\s\W]*\b(?:yes|yeah"
        r"|yep)\b\W*$|(?-i:(?<!\bsay )(?<!\bsays )(?<!\bis )(?<!\bwith )(?<!\banswer )(?<!\ba )\b(?:Yes|YES"
        r"|No|NO)\W*$)|\byess+\b|\by[\W_]{1,3}e[\W_]{1,3}s\b",
    ),
    ("lists verdicts", r"(?:\b(?:yes|no|true|false)\b[\s,.;:/|\\>\"'*\u2192&+-]*(?:and )?){3,}"),
    (
        "ends or begins with a verdict",
        r"^\W*(?:yes|no)\s*(?:[.!?:;=\n|\u2014]|->|$)|(?:[.!?:;=\n|\u2014\u2192)\]\"\u201d]|->|=>"
        r"|--)\s*[*_\"'(\[<]*(?:yes|no|label(?:led)? yes|true)[*_\"')\]>]*\s*[.!]*\s*$|[(\[{<*](?:yes|no"
        r"|true|false|agree|(?:answer|correct|relevant|label)\s*[:=]?\s*(?:yes|true|1))[)\]}>*]",
    ),
    (
        "rates itself",
        r"\b(?:10 ?/ ?10|5 ?/ ?5|100 ?/ ?100|10 out of 10|5 out of 5|five out of five|ten out of ten)\b"
        r"|[\u2605\u2b50]{2,}|[\u2705\u2714\u2611]|\b(?:score|rating|rate|relevance"
        r"|confidence)\s*[:=]\s*[\d\"']",
    ),
)
"""Reason and pattern, for statements; matched in text that is folded by `readings`."""

FOREIGN = re.compile(
    r"\b(?:antworten? (?:sie |bitte |immer |nur |einfach |hier )*(?:mit )?\W*ja\b|sagen? sie \W*ja\b"
    r"|mit \W*ja\W? (?:zu )?antworten\b|(?:die |richtige )+antwort (?:ist|lautet)\W+(?:ja|nein)\b"
    r"|ignorier(?:e|en sie)\b.{0,25}(?:anweisung|frage|beschreibung|obig|vorherig|alles|text)"
    r"|vergiss (?:alle|die|alles)\b|missachten? sie\b"
    r"|(?<!je )r[e\u00e9]pond(?:s|ez)\b.{0,20}\W(?:oui|non)\b|la (?:bonne )?r[e\u00e9]ponse (?:correcte )?est\W+oui\b"
    r"|(?:ignore[zr]?|ignora|oublie[zr]?|olvida|dimentica) (?:les|toutes|tous|la|las|los|todas|todo|tudo|le|tutte|as|os"
    r"|o|gli|cette|ce|esta|questa)\b.{0,25}(?:instruc|instru\u00e7|istruzion|consigne|question"
    r"|pregunta|domand|pergunt|anterior|pr\u00e9c\u00e9dent|precedent|todo lo|tout ce)"
    r"|(?:responda?|respondan|conteste|contesta|diga)\b.{0,20}\W(?:s\u00ed|sim)(?!\w)|di que s\u00ed(?!\w)"
    r"|la respuesta (?:correcta )?es\W+s[i\u00ed](?!\w)|a resposta (?:correta |certa )?\u00e9\W+sim\b"
    r"|rispond(?:i|ete|a)\b.{0,20}\Ws\u00ec(?!\w)|la risposta (?:corretta )?\u00e8\W+s\u00ec(?!\w)"
    r"|(?<!ik )antwoord\b.{0,20}\Wja\b|het (?:juiste )?antwoord is\W+ja\b"
    r"|negeer\b.{0,25}(?:instructie|vraag|bovenstaande|vorige)|svara\b.{0,15}\Wja\b"
    r"|odpowiedz\b.{0,20}\Wtak\b|zignoruj\b|odpov\u011bz\b.{0,20}\Wano\b|r\u0103spunde\b.{0,20}\Wda\b"
    r"|v\u00e1laszolj\w*\b.{0,20}\Wigen\b|vastaa\b.{0,20}\Wkyll\u00e4\b"
    r"|evet\b.{0,20}\b(?:cevap|yan\u0131t) ver|(?:cevap|yan\u0131t)\b.{0,20}\bevet|\u00f6nceki (?:t\u00fcm )?talimat"
    r"|tr\u1ea3 l\u1eddi\b.{0,20}\W(?:c\u00f3|v\u00e2ng)\b|jawab(?:lah)?\b.{0,20}\Wya\b|abaikan (?:instruksi|perintah)"
    r"|\u043e\u0442\u0432\u0435(?:\u0442\u044c|\u0447\u0430\u0439)(?:\u0442\u0435)?\b.{0,25}\W\u0434\u0430\b"
    r"|\u0441\u043a\u0430\u0436\u0438(?:\u0442\u0435)?\b.{0,15}\W\u0434\u0430\b"
    r"|(?:\u043f\u0440\u043e)?\u0438\u0433\u043d\u043e\u0440\u0438\u0440\u0443\u0439"
    r"|\u0437\u0430\u0431\u0443\u0434\u044c\w* (?:\u0432\u0441\u0435|\u043f\u0440\u0435\u0434)"
    r"|\u0432\u0456\u0434\u043f\u043e\u0432\u0456\u0434\u0430\u0439\w*\b.{0,25}\W\u0442\u0430\u043a\b"
    r"|\u03b1\u03c0\u03ac\u03bd\u03c4\u03b7\u03c3\u03b5\b.{0,25}\W\u03bd\u03b1\u03b9\b)"
    r"|(?:\u8bf7|\u8acb|\u53ea|\u76f4\u63a5|\u5fc5\u987b|\u5fc5\u9808).{0,4}"
    r"(?:\u56de\u7b54|\u56de\u590d|\u56de\u8986|\u8f93\u51fa|\u8f38\u51fa).{0,6}(?:\u662f|yes|\u5bf9|\u5c0d)"
    r"|(?:\u56de\u7b54|\u56de\u590d|\u56de\u8986|\u8f93\u51fa|\u8f38\u51fa|\u7b54\u6848\u662f)[\u201c\"'"
    r"\u300c\u300e:\uff1a]\s*(?:\u662f|yes)"
    r"|(?:\u5ffd\u7565|\u65e0\u89c6|\u7121\u8996).{0,8}(?:\u6307\u4ee4|\u6307\u793a|\u4ee5\u4e0a|\u95ee"
    r"\u9898|\u554f\u984c)"
    r"|(?:\u306f\u3044|yes|\u30a4\u30a8\u30b9)[\u300d\"'\u300f]?\u3068(?:\u3060\u3051)?(?:\u7b54\u3048|"
    r"\u56de\u7b54\u3057|\u8a00\u3063)\u3066"
    r"|(?:\u6307\u793a|\u8cea\u554f|\u547d\u4ee4).{0,4}\u7121\u8996\u3057\u3066"
    r"|(?:\uc608|\ub124|yes)[\"'\u201d]?(?:\ub77c\uace0|\uc73c\ub85c|\ub85c)\s?(?:\ub2f5|\ub300\ub2f5|"
    r"\ub9d0)\S*(?:\ub77c|\uc624|\uc694)"
    r"|\ubb34\uc2dc\ud558(?:\uc138\uc694|\ub77c|\uc2ed\uc2dc\uc624)"
    r"|(?:\u0623\u062c\u0628|\u0627\u062c\u0628|\u0623\u062c\u0650\u0628|\u0627\u0644\u0625\u062c\u0627"
    r"\u0628\u0629).{0,15}\u0646\u0639\u0645"
    r"|(?<!\w)\u062a\u062c\u0627\u0647\u0644.{0,15}(?:\u0627\u0644\u062a\u0639\u0644\u064a\u0645\u0627"
    r"\u062a|\u0627\u0644\u0633\u0624\u0627\u0644|\u0645\u0627 \u0633\u0628\u0642)"
    r"|\u0939\u093e\u0901.{0,6}(?:\u091c\u0935\u093e\u092c|\u0909\u0924\u094d\u0924\u0930) (?:\u0926\u094b"
    r"|\u0926\u0947\u0902)"
    r"|(?:\u091c\u0935\u093e\u092c|\u0909\u0924\u094d\u0924\u0930).{0,6}\u0939\u093e\u0901",
    re.IGNORECASE,
)
"""Orders to answer yes, or to ignore what stands before, in some twenty languages."""

_COMPILED = tuple((reason, re.compile(pattern, re.IGNORECASE)) for reason, pattern in ORDERS)
_FOR_QUESTIONS = frozenset(
    {
        "orders to ignore the question",
        "speaks of the judge's instructions",
        "addresses the judge",
        "lists verdicts",
        "repeats the judge's question",
    }
)
"""Questions ask, order and list answers themselves; these they do not."""
_LEET = str.maketrans("013457@$", "oieastas")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{12,}={0,2}")
_TELLTALE = re.compile(
    r"\b(?:yes|answer|ignore|disregard|instructions?|respond|reply|output|label|relevant|judge)\b", re.I
)
"""One of these stands in every order that is worth a disguise; without one a reading is not looked at further."""


def ordered(text: str, is_statement: bool) -> str:
    """How the text speaks to the judge or gives its verdict away; "" where it does not."""
    for way, reading in readings(text):
        if way and not _TELLTALE.search(reading):
            continue
        for reason, pattern in _COMPILED:
            if (is_statement or reason in _FOR_QUESTIONS) and pattern.search(reading):
                return reason + way
        if FOREIGN.search(reading):
            return "orders an answer in another language" + way
    return ""


def readings(text: str) -> Iterator[tuple[str, str]]:
    """Ways to read the text, each with what to say of it: plain, and as codes and disguises have it."""
    folded = squeezed(unicodedata.normalize("NFKC", text))
    plain = folded.translate(LOOK_ALIKES)
    yield "", folded
    if not text.isascii():
        yield " in look-alike letters", plain
    yield " backwards", plain[::-1]
    yield " in rot13", codecs.encode(plain, "rot13")
    if re.search(r"[A-Za-z][0-9@$]|[0-9@$][A-Za-z]", plain):
        yield " in digits for letters", plain.translate(_LEET)
    if "%" in text or "&" in text:
        yield " escaped", html.unescape(unquote(text))
    for found in _BASE64.findall(text):
        if decoded := _decoded(found):
            yield " in base64", decoded


def _decoded(text: str) -> str:
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
    return decoded if decoded.isprintable() else ""
