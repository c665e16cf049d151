"""Passwords that are tried first, without the digits and signs that people put at the end."""

OBVIOUS = frozenset(
    """
password passw0rd p@ssword p@ssw0rd pa55word pa$$word passwort motdepasse contrasena qwerty qwertyui
qwertyuiop qwerty1234 1qaz2wsx 1qaz2wsx3edc zaq12wsx qazwsx qazwsxedc asdfgh asdfghjkl zxcvbn
zxcvbnm 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y q1w2e3r4 q1w2e3r4t5 a1b2c3d4 a1b2c3d4e5 abcd1234 abc123
aa123456 a123456 asd123456 qwe123 qwe123456 woaini woaini1314 woaini520 woaini520520 iloveyou
iloveyou1314 5201314 1314520 123456789 1234567890 12345678910 0123456789 9876543210 0987654321
123123123 123321123321 1231231234 1122334455 147258369 123456789a 123456abc 987654321 112233445566
1234qwer 1234abcd admin administrator root toor letmein welcome welcome1 monkey dragon master
sunshine princess football baseball superman batman trustno1 changeme secret default guest test
testtest login access hello shadow michael jordan killer freedom whatever computer internet
electricity electric dormitory dormitory123 student students teacher university college campus
school xuesheng laoshi daxue xuexiao sushe gongyu dianfei chongzhi wattwarden kwh prepaid
nihao nihaoma zhongguo beijing shanghai guangzhou shenzhen tianjin chongqing
january february march april august september october november december
monday tuesday wednesday thursday friday saturday sunday spring summer autumn winter
""".split()  # noqa: SIM905 - 200 words read better in lines
)
