"""Codes of words, for people who copy them from one screen to another: eight bits a word."""

_LIST = """
acorn amber anchor apple apron arrow atlas attic bacon badge bagel baker bamboo banana banjo basil basket
beach beacon bean bear beaver bench berry bike birch bird biscuit blanket board boat book boot bottle bowl
bread brick bridge brush bucket butter button cabin cactus camel camera candle canoe canyon carpet carrot
castle cedar cello chair chalk cheese cherry chimney cinema citrus clay clock cloud clover coast cobra coconut
coffee comet compass cookie copper coral corner cotton cradle crane crayon cricket crown crystal cushion daisy
dance desert diamond dinner dolphin donkey dragon drum duck eagle echo elbow elephant engine evening falcon
farmer feather fern fiddle finger flag flame flower flute forest fossil fountain fox frog fruit galaxy garden
garlic ginger giraffe glacier globe glove goat gold grape guitar hammer harbor harp hawk hazel hedge helmet
heron hill honey horse hotel house iceberg igloo island ivory jacket jaguar jelly jewel jungle kayak kettle
kitchen kite kitten koala ladder lake lantern laptop lemon leopard lilac lion lizard llama lobster locket
lotus lunch magnet mango maple marble market meadow melon mirror monkey moon mosaic mountain muffin museum
napkin nectar needle nickel ocean olive onion orange orbit orchid otter oven owl oyster paddle palace panda
paper parrot peach peanut pebble pelican pencil penguin pepper piano picnic pigeon pillow pilot planet plum
pocket pony potato puzzle quilt rabbit radio raven ribbon river robin rocket saddle salmon sandal school
shadow silver spider spoon squirrel stone summer sunset table teapot tiger tomato tractor tulip turtle
umbrella velvet violin walnut window winter wizard yacht zebra
"""
_WORDS = _LIST.split()
_PLACES = {word: place for place, word in enumerate(_WORDS)}
_LONGEST = 128  # characters as typed


def in_words(octets: bytes) -> str:
    """One word for each octet, with hyphens between them."""
    return "-".join(_WORDS[octet] for octet in octets)


def octets_of(typed: str, count: int) -> bytes | None:
    """The octets of so many words, None where they are none; in any case, with blanks or hyphens between them."""
    if len(typed) > _LONGEST or not typed.isascii():
        return None
    words = typed.lower().replace("-", " ").split()
    if len(words) != count or any(word not in _PLACES for word in words):
        return None
    return bytes(_PLACES[word] for word in words)
