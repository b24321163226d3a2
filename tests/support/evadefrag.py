# SPDX-License-Identifier: BSD-2-Clause
"""More evasions (evade.py): IP fragments. A datagram's payload is here 20 bytes of TCP header and 44 of the stream."""
from evade import GOOD, case


@case()
def fragments_in_order(t):
    """ip_frag_queue(): the plain thing."""
    t.open().good(0, 44, cuts=[(0, 24, 1, 0), (24, 48, 1, 0), (48, 64, 0, 0)]).ack(44).close(44)
    return GOOD[:44]


@case()
def fragments_backwards(t):
    """The last one first."""
    t.open().good(0, 44, cuts=[(48, 64, 0, 0), (24, 48, 1, 0), (0, 24, 1, 0)]).ack(44).close(44)
    return GOOD[:44]


@case()
def fragment_again_and_altered(t):
    """inet_frag_queue_insert(): the same range again (IPFRAG_DUP) is thrown away, whatever is in it."""
    t.open().good(0, 44, cuts=[(0, 24, 1, 0), (24, 48, 1, 0), (24, 48, 1, 1), (0, 24, 1, 1), (48, 64, 0, 0)])
    t.ack(44).close(44)
    return GOOD[:44]


@case()
def fragment_within_another(t):
    """The same for one that lies within a run of those held."""
    t.open().good(0, 44, cuts=[(0, 48, 1, 0), (24, 32, 1, 1), (48, 64, 0, 0)]).ack(44).close(44)
    return GOOD[:44]


@case(opts=('--overlap', 'linux'))
def fragment_again_tells_the_end(t):
    """ip_frag_queue(): where the datagram ends is noted before the repetition is found and thrown away."""
    t.open().good(0, 44, cuts=[(48, 64, 1, 0), (48, 64, 0, 0), (24, 48, 1, 0), (0, 24, 1, 0)]).ack(44).close(44)
    return GOOD[:44]


@case(opts=('--overlap', 'linux'))
def fragment_within_another_tells_the_end(t):
    """The same for one within a run of those held."""
    t.open().good(0, 44, cuts=[(24, 64, 1, 0), (56, 64, 0, 1), (0, 24, 1, 0)]).ack(44).close(44)
    return GOOD[:44]


@case(opts=('--overlap', 'linux'))
def fragment_again_tells_another_end(t):
    """So the last one contradicts it and ends the datagram."""
    t.open().evil(0, 44, cuts=[(48, 56, 1, 0), (48, 56, 0, 0), (56, 64, 0, 0), (0, 48, 1, 0)]).ack(0)
    t.good(0, 44, wait=300).ack(44).close(44)
    return GOOD[:44]


@case(opts=('--overlap', 'linux'))
def fragment_again_completes_nothing(t):
    """Nobody looks whether all is there when a repetition is thrown away, and nothing else can come."""
    t.open().evil(0, 44, cuts=[(0, 24, 1, 0), (24, 64, 1, 0), (24, 64, 0, 0), (24, 64, 0, 0)]).ack(0)
    t.good(0, 44, wait=300).ack(44).close(44)
    return GOOD[:44]


@case(opts=('--overlap', 'linux'))
def fragments_overlap(t):
    """inet_frag_queue_insert(): an overlap that is not wholly within (IPFRAG_OVERLAP) ends the whole datagram, and what
    comes of it later is another one that is never complete. What was in it comes again."""
    t.open().good(0, 44, cuts=[(0, 32, 1, 0), (24, 48, 1, 1), (24, 48, 1, 0), (48, 64, 0, 0)]).ack(0)
    t.good(0, 44, wait=300).ack(44).close(44)
    return GOOD[:44]


@case(opts=('--overlap', 'linux'))
def fragments_overlap_with_other_bytes(t):
    """The same, and the bytes that come afterwards are not those of the datagram that was lost."""
    t.open().evil(0, 44, cuts=[(0, 32, 1, 0), (48, 64, 0, 0), (24, 48, 1, 0)]).ack(0)
    t.good(0, 44, wait=300).ack(44).close(44)
    return GOOD[:44]


@case(opts=('--overlap', 'linux'))
def fragments_cover_a_held_one(t):
    """The same for one that covers another and reaches further."""
    t.open().evil(0, 44, cuts=[(24, 32, 1, 0), (0, 48, 1, 0), (48, 64, 0, 0)]).ack(0)
    t.good(0, 44, wait=300).ack(44).close(44)
    return GOOD[:44]


@case(counters={'frag-len': 1})
def fragments_with_two_ends(t):
    """ip_frag_queue(): a second last fragment that ends elsewhere ends the datagram."""
    t.open().evil(0, 44, cuts=[(48, 56, 0, 0), (48, 64, 0, 0), (0, 48, 1, 0)]).ack(0)
    t.good(0, 44, wait=300).ack(44).close(44)
    return GOOD[:44]


@case(opts=('--overlap', 'linux'))
def fragment_beyond_the_end(t):
    """The same for one that lies behind the last."""
    t.open().evil(0, 44, cuts=[(48, 64, 0, 0), (64, 72, 1, 0), (0, 48, 1, 0)]).ack(0)
    t.good(0, 44, wait=300).ack(44).close(44)
    return GOOD[:44]


@case()
def fragments_never_complete(t):
    """One is missing; the segment comes again, whole and different."""
    t.open().evil(0, 44, cuts=[(0, 24, 1, 0), (48, 64, 0, 0)]).good(0, 44, wait=300).ack(44).close(44)
    return GOOD[:44]


@case(counters={'frag-len': 1})
def fragment_longer_than_a_datagram(t):
    """ip_frag_queue(), ip_frag_reasm(): more than 65535 bytes are no datagram."""
    t.open().evil(0, 44, cuts=[(0, 48, 1, 0), (65528, 65600, 0, 0)]).good(0, 44, wait=300).ack(44).close(44)
    return GOOD[:44]


@case(opts=('--overlap', 'linux'))
def fragment_of_odd_length(t):
    """ip_frag_queue(): all but the last are cut to a multiple of 8 bytes; here 28 become 24. (The BSDs drop them.)"""
    t.open().good(0, 44, cuts=[(0, 28, 1, 0), (24, 48, 1, 0), (48, 64, 0, 0)]).ack(44).close(44)
    return GOOD[:44]


@case(counters={'frag-tiny': 1})
def fragments_that_are_tiny(t):
    """The TCP header in three pieces: a host puts them together all the same."""
    cuts = [(at, at + 8, int(at < 56), 0) for at in range(0, 64, 8)]
    t.open().good(0, 44, cuts=cuts).ack(44).close(44)
    return GOOD[:44]
