noinst_LIBRARIES += src/way/smtp/libsmtp.a
src_way_smtp_libsmtp_a_SOURCES = \
	src/way/smtp/auth.c \
	src/way/smtp/chunk.c \
	src/way/smtp/command.c \
	src/way/smtp/data.c \
	src/way/smtp/data.h \
	src/way/smtp/envelope.c \
	src/way/smtp/path.c \
	src/way/smtp/session.c \
	src/way/smtp/session.h \
	src/way/smtp/smtp.c \
	src/way/smtp/smtp.h \
	src/way/smtp/submit.c
EXTRA_DIST += src/way/smtp/README

LIB_SMTP = src/way/smtp/libsmtp.a $(LIB_MIME) $(LIB_LOOP) $(LIB_MAIL)

check_PROGRAMS += tests/unit/test_smtp_data
tests_unit_test_smtp_data_SOURCES = tests/unit/test_smtp_data.c tests/unit/unit.h
tests_unit_test_smtp_data_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_smtp_data_LDADD = $(LIB_SMTP) $(CHECK_LIBS)

SMTP_HOST = tests/unit/smtp_host.c tests/unit/smtp_host.h tests/unit/smtp_scenes.c tests/unit/unit.h

check_PROGRAMS += tests/unit/test_smtp_session
tests_unit_test_smtp_session_SOURCES = tests/unit/test_smtp_session.c $(SMTP_HOST)
tests_unit_test_smtp_session_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_smtp_session_LDADD = $(LIB_SMTP) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_smtp_limits
tests_unit_test_smtp_limits_SOURCES = tests/unit/test_smtp_limits.c $(SMTP_HOST)
tests_unit_test_smtp_limits_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_smtp_limits_LDADD = $(LIB_SMTP) $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_smtp_data tests/fuzz/fuzz_smtp_session
tests_fuzz_fuzz_smtp_data_SOURCES = tests/fuzz/fuzz_smtp_data.c
tests_fuzz_fuzz_smtp_data_LDADD = $(FUZZ_MAIN) $(LIB_SMTP)
tests_fuzz_fuzz_smtp_session_SOURCES = tests/fuzz/fuzz_smtp_session.c
tests_fuzz_fuzz_smtp_session_LDADD = $(FUZZ_MAIN) $(LIB_SMTP)
EXTRA_DIST += tests/fuzz/smtp_data.dict tests/fuzz/smtp_session.dict
