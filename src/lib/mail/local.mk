noinst_LIBRARIES += src/lib/mail/libmail.a
src_lib_mail_libmail_a_CFLAGS = $(AM_CFLAGS) $(UNISTRING_CFLAGS)
src_lib_mail_libmail_a_SOURCES = \
	src/lib/mail/addr.c \
	src/lib/mail/addr.h \
	src/lib/mail/group.c \
	src/lib/mail/group.h \
	src/lib/mail/head.c \
	src/lib/mail/invite.c \
	src/lib/mail/join.c \
	src/lib/mail/join.h \
	src/lib/mail/lines.c \
	src/lib/mail/lines.h \
	src/lib/mail/member.c \
	src/lib/mail/member.h \
	src/lib/mail/msglist.c \
	src/lib/mail/msglist.h \
	src/lib/mail/notices.c \
	src/lib/mail/notices.h \
	src/lib/mail/ns.c \
	src/lib/mail/ns.h \
	src/lib/mail/packets.c \
	src/lib/mail/packets.h \
	src/lib/mail/parts.c \
	src/lib/mail/parts.h \
	src/lib/mail/peer.c \
	src/lib/mail/peer.h \
	src/lib/mail/proof.c \
	src/lib/mail/record.c \
	src/lib/mail/record.h \
	src/lib/mail/record_get.c \
	src/lib/mail/record_print.c \
	src/lib/mail/text.c \
	src/lib/mail/text.h \
	src/lib/mail/urls.c \
	src/lib/mail/urls.h \
	src/lib/mail/value.c \
	src/lib/mail/value.h
EXTRA_DIST += src/lib/mail/README

check_PROGRAMS += tests/unit/test_addr
tests_unit_test_addr_SOURCES = tests/unit/test_addr.c tests/unit/unit.h
tests_unit_test_addr_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_addr_LDADD = $(LIB_MAIL) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_text
tests_unit_test_text_SOURCES = tests/unit/test_text.c tests/unit/unit.h
tests_unit_test_text_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_text_LDADD = $(LIB_MAIL) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_record
tests_unit_test_record_SOURCES = tests/unit/test_record.c tests/unit/unit.h
tests_unit_test_record_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_record_LDADD = $(LIB_MAIL) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_ns
tests_unit_test_ns_SOURCES = tests/unit/test_ns.c tests/unit/unit.h
tests_unit_test_ns_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_ns_LDADD = $(LIB_MAIL) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_value
tests_unit_test_value_SOURCES = tests/unit/test_value.c tests/unit/unit.h
tests_unit_test_value_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_value_LDADD = $(LIB_MAIL) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_packets
tests_unit_test_packets_SOURCES = tests/unit/test_packets.c tests/unit/unit.h
tests_unit_test_packets_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_packets_LDADD = $(LIB_MAIL) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_group
tests_unit_test_group_SOURCES = tests/unit/test_group.c tests/unit/unit.h
tests_unit_test_group_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_group_LDADD = $(LIB_MAIL) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_lists
tests_unit_test_lists_SOURCES = tests/unit/test_lists.c tests/unit/unit.h
tests_unit_test_lists_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_lists_LDADD = $(LIB_MAIL) $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_addr tests/fuzz/fuzz_group tests/fuzz/fuzz_record tests/fuzz/fuzz_ns tests/fuzz/fuzz_packets
tests_fuzz_fuzz_addr_SOURCES = tests/fuzz/fuzz_addr.c
tests_fuzz_fuzz_addr_LDADD = $(FUZZ_MAIN) $(LIB_MAIL)
tests_fuzz_fuzz_group_SOURCES = tests/fuzz/fuzz_group.c
tests_fuzz_fuzz_group_LDADD = $(FUZZ_MAIN) $(LIB_MAIL)
tests_fuzz_fuzz_record_SOURCES = tests/fuzz/fuzz_record.c
tests_fuzz_fuzz_record_LDADD = $(FUZZ_MAIN) $(LIB_MAIL)
tests_fuzz_fuzz_ns_SOURCES = tests/fuzz/fuzz_ns.c
tests_fuzz_fuzz_ns_LDADD = $(FUZZ_MAIN) $(LIB_MAIL)
tests_fuzz_fuzz_packets_SOURCES = tests/fuzz/fuzz_packets.c
tests_fuzz_fuzz_packets_LDADD = $(FUZZ_MAIN) $(LIB_MAIL)
