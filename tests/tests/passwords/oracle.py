"""Makes password hashes with the system's own crypt(3): one line each, "method TAB hash TAB password TAB wrong word", both in hex.

usage: oracle.py COUNT SEED          hashes of every method
       oracle.py rate SETTING SECS   CPU microseconds that the library needs for one hash with this setting
       oracle.py refusals           settings good and bad, in hex, and whether crypt(3) gives them back ("fits") or not
"""
import ctypes
import random
import resource
import sys

LIBRARY = ctypes.CDLL("libcrypt.so.1")
LIBRARY.crypt.restype = ctypes.c_char_p
ALPHABET = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
OTHERS = b"_@#%+-=~^&()[]{}<>?,.'\"`|"


def crypt(password, setting):
    answer = LIBRARY.crypt(password, setting)
    return None if answer is None or answer.startswith(b"*") else answer


def corpus(count, seed):
    pick = random.Random(seed)

    def text(letters, least, most):
        return bytes(pick.choice(letters) for _ in range(pick.randint(least, most)))

    def salt(least, most):
        return text(ALPHABET, least, most)

    def odd_salt(most):
        return text(ALPHABET + OTHERS, 0, most)

    def packed_salt():
        length = pick.choice([0, 2, 3, 4, 6, 7, 8, 16, 22, 22, 22])
        out = bytearray(salt(length, length))
        if length % 4 == 2:
            out[-1] = ALPHABET[pick.randrange(4)]
        if length % 4 == 3:
            out[-1] = ALPHABET[pick.randrange(16)]
        return bytes(out)

    def password(i):
        printable = bytes(range(33, 127))
        kind = i % 10
        if kind == 0:
            return b""
        if kind <= 3:
            return text(printable, 1, 15)
        if kind == 4:
            return text(printable, 16, 72)
        if kind == 5:
            return text(printable, 73, 255)
        if kind == 6:
            return "".join(pick.choice("密码阿里云张王李пароль🔑é") for _ in range(pick.randint(1, 20))).encode()
        if kind == 7:
            return text(bytes(range(1, 256)), 1, 40)
        if kind == 8:
            return b"x" * pick.choice([7, 8, 9, 16, 17, 55, 56, 63, 64, 71, 72, 73, 111, 112, 127, 128, 129, 300, 510, 511])
        return text(b"\xff\x80\xa3A", 1, 12)

    def wrong(word, answer):
        """A word as near as can be that crypt(3) does not take for the right one."""
        while True:
            near = bytearray(word or b"a")
            near[pick.randrange(min(len(near), 72))] = pick.randint(1, 255)
            near = bytes(near[: pick.choice([len(near), len(near), max(1, len(near) - 1)])])
            if crypt(near, answer) != answer:
                return near

    def rounds(i):
        return b"rounds=%d$" % pick.randint(1000, 3000) if i % 4 else b""

    def yescrypt():
        # Flavours, memory from 64 KiB to 1 MiB and more blocks, lanes (p) and extra time (t).
        flavour = pick.choice([b"j75", b"j65", b"j8T", b"j95", b"j75..", b"j85.0", b"j75/.", b"j75/0", b"j75/4", b"j750./", b"/75", b"/75/.", b".75"])
        return flavour + b"$" + packed_salt()

    def scrypt():
        return pick.choice(b"468").to_bytes(1, "little") + pick.choice([b"6....", b"/....", b"2...."]) + pick.choice([b"/....", b"0...."]) + salt(0, 30)

    methods = {
        "yescrypt": lambda i: b"$y$" + yescrypt(),
        "yescrypt as made today": lambda i: b"$y$j9T$" + salt(20, 20) + b"1/",
        "gost-yescrypt": lambda i: b"$gy$" + yescrypt(),
        "scrypt": lambda i: b"$7$" + scrypt(),
        "bcrypt 2a": lambda i: b"$2a$04$" + salt(22, 22),
        "bcrypt 2b": lambda i: b"$2b$0%d$" % pick.choice([4, 4, 5]) + salt(22, 22),
        "bcrypt 2x": lambda i: b"$2x$04$" + salt(22, 22),
        "bcrypt 2y": lambda i: b"$2y$04$" + salt(22, 22),
        "sha512crypt": lambda i: b"$6$" + rounds(i) + odd_salt(16),
        "sha256crypt": lambda i: b"$5$" + rounds(i) + odd_salt(16),
        "sha1crypt": lambda i: b"$sha1$%d$" % pick.randint(0, 300) + salt(1, 64),
        "md5crypt": lambda i: b"$1$" + odd_salt(8),
        "SunMD5": lambda i: b"$md5" + pick.choice([b"", b",rounds=%d" % pick.randint(1, 40)]) + b"$" + salt(0, 8) + pick.choice([b"", b"$"]),
        "NT": lambda i: b"$3$",
        "bsdicrypt": lambda i: b"_" + pick.choice([b"J9..", b"/...", b"0...", b"zz..", b"...."]) + salt(4, 4),
        "bigcrypt": lambda i: salt(2, 2) + b"." * 22,
        "descrypt": lambda i: salt(2, 2),
    }
    for method, setting in methods.items():
        made = 0
        for i in range(3 * count):
            word = password(i)
            answer = crypt(word, setting(i))
            # The answer must be its own setting, or nobody could log in with it.
            if answer is None or crypt(word, answer) != answer:
                continue
            print(method, answer.decode(), word.hex(), wrong(word, answer).hex(), sep="\t")
            made += 1
            if made == count:
                break


def refusals():
    """Settings with whole digests: which of them crypt(3) gives back, so that somebody could log in with it."""
    digest = {b"$6$": 86, b"$5$": 43, b"$1$": 22, b"$y$": 43, b"$gy$": 43, b"$7$": 43, b"$sha1$": 28, b"$2b$": 31, b"$2a$": 31, b"$md5": 22, b"_": 11, b"": 11, b"$3$": 32}
    settings = []
    for byte in range(1, 256):
        if byte in b"\n":
            continue
        one = bytes([byte])
        for setting in (b"$6$a" + one + b"b$", b"$5$" + one + b"$", b"$1$a" + one + b"$", b"$sha1$10$a" + one + b"b$", b"$7$4/..../....a" + one + b"$", b"$y$j75$a" + one + b"./$",
                        b"$2b$04$" + b"a" * 21 + one, b"$md5$a" + one + b"$", b"$md5$a" + one + b"$$", b"_/..." + one + b"bcd", b"a" + one, one + b"a"):
            settings.append(setting)
    for rounds in (b"", b"0", b"10", b"999", b"1000", b"01000", b"5000", b"05000", b"+5000", b"5000 ", b"5000a", b"99999999999", b"1000000000"):
        for prefix in (b"$6$", b"$5$"):
            settings.append(prefix + b"rounds=" + rounds + b"$salt$")
            settings.append(prefix + b"rounds=" + rounds + b"$")
        if len(rounds) < 6:
            settings.append(b"$md5,rounds=" + rounds + b"$salt$")
            settings.append(b"$md5$rounds=" + rounds + b"$salt$$")
            settings.append(b"$sha1$" + rounds + b"$salt$")
    for length in range(0, 24):
        salt = b"abcdefghijklmnopqrstuvwxyz"[:length]
        settings += [b"$6$" + salt + b"$", b"$5$" + salt + b"$", b"$1$" + salt + b"$", b"$y$j75$" + salt + b"$", b"$gy$j75$" + salt + b"$", b"$7$4/..../...." + salt + b"$",
                     b"$sha1$3$" + salt + b"$", b"$2b$04$" + salt, b"$md5$" + salt + b"$", b"$md5$" + salt + b"$$", b"_/..." + salt, salt]
    for salt in (63, 64, 65, 100, 200, 250):
        settings += [b"$sha1$3$" + b"a" * salt + b"$", b"$y$j75$" + b"." * (salt + 20) + b"$", b"$y$j75$" + b"." * (salt + 23) + b"$"]
    for cost in (b"00", b"03", b"04", b"4", b"+4", b"4 ", b" 4", b"0a", b"32", b"99"):
        settings += [b"$2b$" + cost + b"$" + b"a" * 21 + b"u", b"$2a$" + cost + b"$" + b"a" * 21 + b"u"]
    for params in (b"", b"j", b"j7", b"j75", b"j75.", b"j75..", b"j75...", b"k75", b"i75", b"j.5", b"j//", b"j7.", b"/75", b".75", b"075", b"j75/.", b".75/.", b"j75/1", b"j751", b"j7531", b"j75z", b"_75"):
        settings += [b"$y$" + params + b"$abcd$", b"$gy$" + params + b"$abcd$"]
    for params in (b"4/..../....", b"./..../....", b"4....../....", b"4/.........", b"/0..../....", b"4/..../...", b"40....1...."):
        settings.append(b"$7$" + params + b"salt$")
    for setting in settings:
        prefix = max((p for p in digest if setting.startswith(p)), key=len)
        word = b"correct horse"
        answer = crypt(word, setting)
        made = answer is not None and answer.startswith(setting) and crypt(word, answer) == answer
        print(((answer if made else setting + b"a" * digest[prefix]).hex()), "fits" if made else "refused", sep="\t")


def rate(setting, seconds):
    def used():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    LIBRARY.crypt(b"warm up", setting)
    start, made = used(), 0
    while used() - start < seconds:
        LIBRARY.crypt(b"abcdefg%d" % (made % 10), setting)
        made += 1
    print((used() - start) * 1e6 / made)


if sys.argv[1] == "rate":
    rate(sys.argv[2].encode(), float(sys.argv[3]))
elif sys.argv[1] == "refusals":
    refusals()
else:
    corpus(int(sys.argv[1]), int(sys.argv[2]))
