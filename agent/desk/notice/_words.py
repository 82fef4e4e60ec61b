"""The built-in texts of the sign, in plain language, by configuration.

Regulation (EU) 2024/1689 (AI Act), Article 50(3): deployers of an emotion recognition system inform
the natural persons exposed to it of its operation. Not legal advice.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.privacy.policy.profile import Language


@dataclass(frozen=True, slots=True)
class Words:
    """Texts of one language; braces are filled by `str.format`."""

    title_expression: str
    title_count: str
    expression: str
    """Where expressions are inferred."""
    brief: str
    """Added where micro-expressions are spotted."""
    voice: str
    """Added where the microphone is on."""
    text: str
    """Added where words are read."""
    attention: str
    """Where only visits and attention are counted."""
    presence: str
    """Where only visits are counted."""
    act: str
    """The wording of the AI Act, for the EU."""
    act_elsewhere: str
    act_not: str
    """Where no expression is inferred."""
    face_geometry: str
    """For the USA."""
    face_geometry_kept: str
    """The same where traces are kept."""
    with_consent: str
    traces: str
    """Added where traces are kept: {days}."""
    device: str
    numbers: str
    """{k} visits, {window}."""
    numbers_beside: str
    """Where traces are kept: {k}, {window}."""
    numbers_exact: str
    """Without noise, where nothing leaves: {window}."""
    avoid_title: str
    avoid: str
    """Default of the profile's text."""
    zones: str
    operator: str
    contact: str
    purpose: str
    legal_basis: str
    retention: str
    quiet: str
    ask: str
    windows: dict[int, str]
    """By seconds."""


WORDS: dict[Language, Words] = {
    "en": Words(
        title_expression="Facial expressions are analysed here",
        title_count="Visits are counted here",
        expression=(
            "A camera with artificial intelligence estimates which expression the faces in view "
            "show, such as a smile. What somebody feels it does not know."
        ),
        brief="It also looks for expressions that last less than half a second.",
        voice=(
            "A microphone listens too: the device estimates in which tone people speak, such as "
            "cheerful or angry. It does not understand what is said. No sound is kept or sent."
        ),
        text=(
            "What is typed or said to this kiosk is rated as friendly or unfriendly, on the device "
            "itself. The words are not kept or sent."
        ),
        attention=(
            "A camera with artificial intelligence counts visits and people who pass by: how many, "
            "how long, and whether they look this way. Only presence and attention are counted; no "
            "expression and no emotion is read."
        ),
        presence=(
            "A camera with artificial intelligence counts visits and people who pass by. Only "
            "presence is counted; no expression and no emotion is read."
        ),
        act=(
            "Information under Article 50(3) of Regulation (EU) 2024/1689 (AI Act): an emotion "
            "recognition system is in operation here."
        ),
        act_elsewhere="Please note: an emotion recognition system is in operation here.",
        act_not="No emotion recognition system is in operation here.",
        face_geometry=(
            "To do so it measures the geometry of faces for a moment, in memory only. Nothing of "
            "it is stored, sold or used to recognise anybody."
        ),
        face_geometry_kept=(
            "To do so it measures the geometry of faces for a moment, in memory only. It is not "
            "sold, nor used to recognise anybody."
        ),
        with_consent="This is done with the consent of those in view.",
        traces=(
            "In sessions of the study it also writes down how brows, lids and mouth of single "
            "people move, without picture and name, encrypted so that only the study can read it, "
            "and deletes it here after {days} days. Who takes part gets a code to have it deleted."
        ),
        device=(
            "Everything is analysed on the device itself. No picture is kept and none is sent. "
            "Nobody is recognised."
        ),
        numbers=(
            "Only counts leave the device: of at least {k} visits, over {window} or more, with "
            "random noise added."
        ),
        numbers_beside=(
            "Over the network only counts leave the device: of at least {k} visits, over {window} "
            "or more, with random noise added. What the study's sessions hold its staff fetch here."
        ),
        numbers_exact="Only counts over {window} are made, and they do not leave this computer.",
        avoid_title="You would rather not?",
        avoid="Please ask the operator how to pass without being in view.",
        zones="Places of the staff are painted over and never analysed.",
        operator="Operator",
        contact="Contact",
        purpose="Purpose",
        legal_basis="Legal basis",
        retention="Counts are kept",
        quiet="Switched off",
        ask="Please ask the operator.",
        windows={
            10: "10 seconds", 60: "1 minute", 300: "5 minutes", 900: "15 minutes", 3600: "1 hour",
        },
    ),
    "de": Words(
        title_expression="Hier werden Gesichtsausdrücke ausgewertet",
        title_count="Hier werden Besuche gezählt",
        expression=(
            "Eine Kamera mit künstlicher Intelligenz schätzt, welchen Ausdruck die Gesichter vor "
            "ihr zeigen, zum Beispiel ein Lächeln. Was jemand fühlt, weiß sie nicht."
        ),
        brief="Sie achtet auch auf Ausdrücke, die kürzer als eine halbe Sekunde dauern.",
        voice=(
            "Auch ein Mikrofon hört zu: Das Gerät schätzt, in welchem Ton gesprochen wird, zum "
            "Beispiel fröhlich oder verärgert. Was gesagt wird, versteht es nicht. Kein Ton wird "
            "gespeichert oder verschickt."
        ),
        text=(
            "Was hier eingetippt oder diktiert wird, bewertet das Gerät selbst als freundlich oder "
            "unfreundlich. Die Worte werden weder gespeichert noch verschickt."
        ),
        attention=(
            "Eine Kamera mit künstlicher Intelligenz zählt Besuche und Vorübergehende: wie viele, "
            "wie lange, und ob jemand hersieht. Erfasst werden nur Anwesenheit und Aufmerksamkeit, "
            "keine Gesichtsausdrücke und keine Gefühle."
        ),
        presence=(
            "Eine Kamera mit künstlicher Intelligenz zählt Besuche und Vorübergehende. Erfasst "
            "wird nur die Anwesenheit, keine Gesichtsausdrücke und keine Gefühle."
        ),
        act=(
            "Information nach Artikel 50 Absatz 3 der Verordnung (EU) 2024/1689 (KI-Verordnung): "
            "Hier ist ein Emotionserkennungssystem in Betrieb."
        ),
        act_elsewhere="Bitte beachten Sie: Hier ist ein Emotionserkennungssystem in Betrieb.",
        act_not="Hier ist kein Emotionserkennungssystem in Betrieb.",
        face_geometry=(
            "Dazu misst sie für einen Augenblick die Geometrie von Gesichtern, nur im "
            "Arbeitsspeicher. Nichts davon wird gespeichert, verkauft oder zum Wiedererkennen "
            "benutzt."
        ),
        face_geometry_kept=(
            "Dazu misst sie für einen Augenblick die Geometrie von Gesichtern, nur im "
            "Arbeitsspeicher. Sie wird weder verkauft noch zum Wiedererkennen benutzt."
        ),
        with_consent="Das geschieht mit Einwilligung der Menschen im Bild.",
        traces=(
            "In Sitzungen der Studie hält das Gerät auch fest, wie sich Brauen, Lider und Mund "
            "einzelner Menschen bewegen: ohne Bild und Namen, so verschlüsselt, dass nur die "
            "Studie es lesen kann. Hier wird es nach {days} Tagen gelöscht. Wer teilnimmt, "
            "bekommt einen Code, um es löschen zu lassen."
        ),
        device=(
            "Alles wird im Gerät selbst ausgewertet. Kein Bild wird gespeichert, keines "
            "verschickt. Niemand wird wiedererkannt."
        ),
        numbers=(
            "Nur Zählwerte verlassen das Gerät: ab {k} Besuchen, über mindestens {window}, mit "
            "zufälligem Rauschen versehen."
        ),
        numbers_beside=(
            "Über das Netz verlassen nur Zählwerte das Gerät: ab {k} Besuchen, über mindestens "
            "{window}, mit zufälligem Rauschen versehen. Was die Sitzungen der Studie enthalten, "
            "holen deren Mitarbeitende hier ab."
        ),
        numbers_exact=(
            "Es entstehen nur Zählwerte über {window}, und sie verlassen diesen Rechner nicht."
        ),
        avoid_title="Sie möchten das nicht?",
        avoid="Bitte fragen Sie den Betreiber, wie Sie außerhalb des Bildes vorbeikommen.",
        zones="Arbeitsplätze des Personals sind ausgeblendet und werden nie ausgewertet.",
        operator="Betreiber",
        contact="Kontakt",
        purpose="Zweck",
        legal_basis="Rechtsgrundlage",
        retention="Aufbewahrung der Zählwerte",
        quiet="Abgeschaltet",
        ask="Bitte fragen Sie den Betreiber.",
        windows={
            10: "10 Sekunden", 60: "1 Minute", 300: "5 Minuten", 900: "15 Minuten",
            3600: "1 Stunde",
        },
    ),
    "fr": Words(
        title_expression="Ici, les expressions du visage sont analysées",
        title_count="Ici, les visites sont comptées",
        expression=(
            "Une caméra dotée d’une intelligence artificielle estime l’expression des visages "
            "devant elle, par exemple un sourire. Elle ne sait pas ce que les personnes ressentent."
        ),
        brief="Elle cherche aussi des expressions de moins d’une demi-seconde.",
        voice=(
            "Un microphone écoute aussi\u00a0: l’appareil estime sur quel ton on parle, par "
            "exemple joyeux ou fâché. Il ne comprend pas ce qui est dit. Aucun son n’est conservé "
            "ni envoyé."
        ),
        text=(
            "Ce qui est écrit ou dicté à cette borne est évalué comme aimable ou non, dans "
            "l’appareil même. Les mots ne sont ni conservés ni envoyés."
        ),
        attention=(
            "Une caméra dotée d’une intelligence artificielle compte les visites et les personnes "
            "qui passent\u00a0: combien, combien de temps, et si l’on regarde par ici. Seules la "
            "présence et l’attention sont comptées\u00a0; aucune expression, aucune émotion n’est "
            "lue."
        ),
        presence=(
            "Une caméra dotée d’une intelligence artificielle compte les visites et les personnes "
            "qui passent. Seule la présence est comptée\u00a0; aucune expression, aucune émotion "
            "n’est lue."
        ),
        act=(
            "Information au titre de l’article 50, paragraphe 3, du règlement (UE) 2024/1689 "
            "(règlement sur l’intelligence artificielle)\u00a0: un système de reconnaissance des "
            "émotions fonctionne ici."
        ),
        act_elsewhere=(
            "Veuillez noter\u00a0: un système de reconnaissance des émotions fonctionne ici."
        ),
        act_not="Aucun système de reconnaissance des émotions ne fonctionne ici.",
        face_geometry=(
            "Pour cela, elle mesure un instant la géométrie des visages, en mémoire vive "
            "seulement. Rien n’en est conservé, vendu ni utilisé pour reconnaître quelqu’un."
        ),
        face_geometry_kept=(
            "Pour cela, elle mesure un instant la géométrie des visages, en mémoire vive "
            "seulement. Elle n’est ni vendue ni utilisée pour reconnaître quelqu’un."
        ),
        with_consent="Cela se fait avec le consentement des personnes filmées.",
        traces=(
            "Pendant les séances de l’étude, l’appareil note aussi comment bougent les sourcils, "
            "les paupières et la bouche de chaque personne, sans image ni nom, chiffré pour "
            "l’étude seule, et l’efface ici après {days} jours. Les participants reçoivent un code "
            "pour le faire effacer."
        ),
        device=(
            "Tout est analysé dans l’appareil. Aucune image n’est conservée ni envoyée. Personne "
            "n’est reconnu."
        ),
        numbers=(
            "Seuls des comptages quittent l’appareil\u00a0: à partir de {k} visites, sur {window} "
            "au moins, avec un bruit aléatoire."
        ),
        numbers_beside=(
            "Par le réseau, seuls des comptages quittent l’appareil\u00a0: à partir de {k} "
            "visites, sur {window} au moins, avec un bruit aléatoire. Ce que contiennent les "
            "séances, l’équipe de l’étude vient le chercher ici."
        ),
        numbers_exact=(
            "Il n’y a que des comptages sur {window}, et ils ne quittent pas cet ordinateur."
        ),
        avoid_title="Vous ne le souhaitez pas\u00a0?",
        avoid="Demandez à l’exploitant comment passer hors du champ de la caméra.",
        zones="Les postes du personnel sont masqués et ne sont jamais analysés.",
        operator="Exploitant",
        contact="Contact",
        purpose="Finalité",
        legal_basis="Base juridique",
        retention="Conservation des comptages",
        quiet="Hors service",
        ask="Demandez à l’exploitant.",
        windows={
            10: "10 secondes", 60: "1 minute", 300: "5 minutes", 900: "15 minutes",
            3600: "1 heure",
        },
    ),
    "es": Words(
        title_expression="Aquí se analizan expresiones faciales",
        title_count="Aquí se cuentan visitas",
        expression=(
            "Una cámara con inteligencia artificial estima qué expresión muestran las caras que "
            "tiene delante, por ejemplo una sonrisa. Lo que cada persona siente no lo sabe."
        ),
        brief="También busca expresiones de menos de medio segundo.",
        voice=(
            "También escucha un micrófono: el aparato estima en qué tono se habla, por ejemplo "
            "alegre o enfadado. No entiende lo que se dice. No se guarda ni se envía ningún sonido."
        ),
        text=(
            "Lo que se escribe o se dicta a este quiosco se valora como amable o no, en el propio "
            "aparato. Las palabras no se guardan ni se envían."
        ),
        attention=(
            "Una cámara con inteligencia artificial cuenta visitas y personas que pasan: cuántas, "
            "cuánto duran y si se mira hacia aquí. Solo se cuentan presencia y atención; no se lee "
            "ninguna expresión ni emoción."
        ),
        presence=(
            "Una cámara con inteligencia artificial cuenta visitas y personas que pasan. Solo se "
            "cuenta la presencia; no se lee ninguna expresión ni emoción."
        ),
        act=(
            "Información conforme al artículo 50, apartado 3, del Reglamento (UE) 2024/1689 "
            "(Reglamento de Inteligencia Artificial): aquí funciona un sistema de reconocimiento "
            "de emociones."
        ),
        act_elsewhere="Tenga en cuenta: aquí funciona un sistema de reconocimiento de emociones.",
        act_not="Aquí no funciona ningún sistema de reconocimiento de emociones.",
        face_geometry=(
            "Para ello mide por un instante la geometría de las caras, solo en la memoria. Nada de "
            "ello se guarda, se vende ni se usa para reconocer a nadie."
        ),
        face_geometry_kept=(
            "Para ello mide por un instante la geometría de las caras, solo en la memoria. No se "
            "vende ni se usa para reconocer a nadie."
        ),
        with_consent="Se hace con el consentimiento de las personas que están a la vista.",
        traces=(
            "En las sesiones del estudio, el aparato también anota cómo se mueven las cejas, los "
            "párpados y la boca de cada persona, sin imagen ni nombre, cifrado solo para el "
            "estudio, y lo borra aquí a los {days} días. Quien participa recibe un código para "
            "hacerlo borrar."
        ),
        device=(
            "Todo se analiza en el propio aparato. No se guarda ni se envía ninguna imagen. No se "
            "reconoce a nadie."
        ),
        numbers=(
            "Del aparato solo salen recuentos: a partir de {k} visitas, de {window} como mínimo y "
            "con ruido aleatorio añadido."
        ),
        numbers_beside=(
            "Por la red solo salen recuentos: a partir de {k} visitas, de {window} como mínimo y "
            "con ruido aleatorio añadido. Lo que contienen las sesiones lo recoge aquí el equipo "
            "del estudio."
        ),
        numbers_exact="Solo se hacen recuentos de {window}, y no salen de este ordenador.",
        avoid_title="¿Prefiere que no?",
        avoid="Pregunte al responsable cómo pasar fuera del alcance de la cámara.",
        zones="Los puestos del personal están ocultos y nunca se analizan.",
        operator="Responsable",
        contact="Contacto",
        purpose="Finalidad",
        legal_basis="Base jurídica",
        retention="Conservación de los recuentos",
        quiet="Apagado",
        ask="Pregunte al responsable.",
        windows={
            10: "10 segundos", 60: "1 minuto", 300: "5 minutos", 900: "15 minutos",
            3600: "1 hora",
        },
    ),
}  # fmt: skip
