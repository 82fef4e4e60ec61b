"""Closed classes of words in four languages, folded as `normalise.fold` does."""

from __future__ import annotations

from dataclasses import dataclass, field


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(each.split()) for each in text.split(","))


@dataclass(frozen=True, slots=True)
class Grammar:
    """Closed classes of one language."""

    negators: frozenset[str]
    phrases: tuple[tuple[str, ...], ...]
    """Of several words, which negate what follows the last."""
    void: tuple[tuple[str, ...], ...]
    """Phrases whose first word negates nothing."""
    again: frozenset[str]
    """Negators that turn another negation round instead of strengthening it."""
    weak: frozenset[str]
    """Negators, unless `unweak` stands before."""
    unweak: frozenset[str]
    pairs: tuple[str, str]
    """The second negates only after the first: neither, nor."""
    contrast: frozenset[str]
    """What stands before it in the sentence is conceded."""
    concede: frozenset[str]
    """What follows, up to the next mark, is conceded."""
    joins: frozenset[str]
    starts: frozenset[str]
    """Articles and pronouns: after a word of `joins`, another clause begins."""
    breaks: frozenset[str]
    """Words that end a negation's reach."""
    too: frozenset[str]
    irrealis: frozenset[str]
    more: frozenset[str]
    less: frozenset[str]
    tails: frozenset[str] = field(default_factory=frozenset)
    """German: what may follow a `nicht` that negates the clause before it."""
    only_with: frozenset[str] = field(default_factory=frozenset)
    """French: negators only where `ne` stands in the clause."""


GRAMMARS = {
    "en": Grammar(
        negators=_words(
            "not no never nobody nothing none neither cannot without hardly barely scarcely "
            "nowhere rarely seldom dont doesnt didnt isnt wasnt arent werent wont wouldnt "
            "couldnt shouldnt cant havent hasnt hadnt aint nor nope lacks lacked lacking "
            "noone"
        ),
        phrases=_phrases(
            "far from,anything but,lack of,no one,failed to,fails to,fail to,nowhere near,"
            "instead of,free of,free from,refused to,refuses to,stopped,unable to,too to"
        ),
        void=_phrases("not only,not just,nothing but,no doubt about,not to mention"),
        again=_words("without lacks lacked lacking"),
        weak=_words("less little least"),
        unweak=_words("a or no nonetheless"),
        pairs=("neither", "nor"),
        contrast=_words("but however yet though"),
        concede=_words("although despite though while except"),
        joins=_words("and or so"),
        starts=_words(
            "the a i we it they he she you this that my our their there everything everyone "
            "all also"
        ),
        breaks=_words("because since when if which who where whereas"),
        too=_words("too overly"),
        irrealis=_words("could should would wish hope ought might if needs need must"),
        more=_words(
            "very really so totally absolutely incredibly extremely particularly truly super "
            "exceptionally such most completely highly deeply utterly"
        ),
        less=_words("bit slightly somewhat fairly partly partially kinda sort kind rather little"),
    ),
    "de": Grammar(
        negators=_words(
            "nicht nie niemals kein keine keinen keinem keiner keines nichts niemand "
            "niemandem niemanden kaum keineswegs keinesfalls garnicht nirgends nirgendwo ohne "
            "weder nimmer nix net nich selten"
        ),
        phrases=_phrases(
            "alles andere als,weit entfernt von,weit davon entfernt,alles ausser,mangel an,"
            "fehlt an,mangelt an,fehlt es an,mangelt es an,frei von,statt,anstatt"
        ),
        void=_phrases("nicht nur,nicht bloss,nicht allein,nichts als,nicht zuletzt"),
        again=_words("ohne"),
        weak=_words("wenig weniger"),
        unweak=_words("ein oder zu"),
        pairs=("weder", "noch"),
        contrast=_words("aber doch jedoch allerdings dennoch trotzdem"),
        concede=_words("obwohl trotz obgleich wenngleich ausser zwar"),
        joins=_words("und oder"),
        starts=_words(
            "der die das ein eine ich wir es sie er ihr man dieser diese dieses mein meine "
            "unser alles alle auch mir uns dem den im"
        ),
        breaks=_words("weil da wenn dass sondern"),
        too=_words("zu allzu"),
        irrealis=_words(
            "koennte koennten sollte sollten muesste muessten waere waeren haette haetten "
            "wuerde wuerden hoffentlich wuensche wuenschte muss"
        ),
        more=_words(
            "sehr wirklich echt total absolut unglaublich extrem besonders richtig so ganz "
            "ueberaus aeusserst wahnsinnig super mega voll voellig ausgesprochen"
        ),
        less=_words("etwas bisschen ziemlich teilweise einigermassen halbwegs eher wenig"),
        tails=_words(
            "besonders so sehr wirklich mehr weiter richtig ganz einmal mal unbedingt immer "
            "an aus ein zu auf genug recht gerade viel ab wieder mit zurueck durch bei vor "
            "mir uns euch ihnen ueberhaupt hier dort heute leider auch wirklich weiterhin "
            "leicht gross"
        ),
    ),
    "fr": Grammar(
        negators=_words(
            "pas jamais guere rien personne aucun aucune nullement sans ni point plus nul nulle non"
        ),
        phrases=_phrases(
            "loin d',loin de,tout sauf,manque de,manque d',a peine,au lieu de,pas du tout,"
            "absence de,incapable de,impossible de,refuse de"
        ),
        void=_phrases(
            "non seulement,pas seulement,rien que,sans doute,sans aucun doute,pas que,plus que"
        ),
        again=_words("sans"),
        weak=_words("peu moins"),
        unweak=_words("un ou au le du quelque"),
        pairs=("", ""),
        contrast=_words("mais cependant pourtant toutefois neanmoins"),
        concede=_words("malgre quoique bien-que sauf"),
        joins=_words("et ou donc"),
        starts=_words(
            "le la les l' un une je j' nous il elle ils elles on c' ce cette ces mon ma notre "
            "votre tout tous"
        ),
        breaks=_words("parce car si quand lorsque puisque"),
        too=_words("trop"),
        irrealis=_words(
            "pourrait pourraient devrait devraient faudrait serait seraient aurait voudrais "
            "aimerais souhaite souhaiterais devriez pourriez espere faut doit"
        ),
        more=_words(
            "tres vraiment totalement absolument incroyablement extremement particulierement "
            "tellement si super hyper beaucoup completement fort tout"
        ),
        less=_words("peu assez plutot legerement partiellement relativement"),
        only_with=_words("plus rien personne point nul nulle aucun aucune"),
    ),
    "es": Grammar(
        negators=_words(
            "no nunca jamas nadie nada ningun ninguno ninguna ni tampoco sin apenas nunca"
        ),
        phrases=_phrases(
            "lejos de,de todo menos,cualquier cosa menos,todo menos,falta de,en vez de,"
            "en lugar de,carece de,dejo de,incapaz de,imposible"
        ),
        void=_phrases("no solo,no solamente,no obstante,sin embargo,nada mas que,sin duda,ni que"),
        again=_words("sin"),
        weak=_words("poco poca pocos pocas menos"),
        unweak=_words("un o por una al"),
        pairs=("", ""),
        contrast=_words("pero aunque embargo obstante"),
        concede=_words("aunque pese salvo excepto"),
        joins=_words("y e o"),
        starts=_words(
            "el la los las un una yo nosotros me nos se es este esta mi nuestro su todo todos "
            "tambien fue lo"
        ),
        breaks=_words("porque pues cuando si sino"),
        too=_words("demasiado demasiada demasiados demasiadas"),
        irrealis=_words(
            "podria podrian deberia deberian debian tendria tendrian habria seria serian "
            "gustaria quisiera ojala espero hace falta debe deben hubiera"
        ),
        more=_words(
            "muy realmente totalmente absolutamente increiblemente extremadamente "
            "especialmente tan super sumamente verdaderamente mucho completamente bien mas"
        ),
        less=_words("poco algo bastante ligeramente parcialmente relativamente"),
    ),
}
