# The settings alone, for p2pmta-ctl init and the tests.
noinst_LIBRARIES += src/app/daemon/libsettings.a
src_app_daemon_libsettings_a_CFLAGS = $(AM_CFLAGS) $(CONFUSE_CFLAGS)
src_app_daemon_libsettings_a_SOURCES = \
	src/app/daemon/password.c \
	src/app/daemon/selftest.c \
	src/app/daemon/selftest.h \
	src/app/daemon/settings.c \
	src/app/daemon/settings.h \
	src/app/daemon/settings_value.c \
	src/app/daemon/settings_value.h
LIB_SETTINGS = src/app/daemon/libsettings.a $(LIB_MAIL) $(CONFUSE_LIBS)

check_PROGRAMS += tests/unit/test_settings
tests_unit_test_settings_SOURCES = tests/unit/test_settings.c tests/unit/unit.h
tests_unit_test_settings_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_settings_LDADD = $(LIB_SETTINGS) $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_settings
tests_fuzz_fuzz_settings_SOURCES = tests/fuzz/fuzz_settings.c
tests_fuzz_fuzz_settings_LDADD = $(FUZZ_MAIN) $(LIB_SETTINGS)
