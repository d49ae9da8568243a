# The daemon itself: courier, commands and wiring over all stations.
noinst_LIBRARIES += src/app/courier/libcourier.a
src_app_courier_libcourier_a_SOURCES = \
	src/app/courier/agenda.c \
	src/app/courier/agenda.h \
	src/app/courier/cancel.c \
	src/app/courier/courier.c \
	src/app/courier/courier.h \
	src/app/courier/in.c \
	src/app/courier/lanes.c \
	src/app/courier/out.c \
	src/app/courier/pulls.c \
	src/app/courier/report.c \
	src/app/courier/rows.c \
	src/app/courier/sealing.c \
	src/app/courier/sent.c \
	src/app/courier/state.h

check_PROGRAMS += tests/unit/test_courier
tests_unit_test_courier_SOURCES = tests/unit/test_courier.c tests/unit/turns.h tests/unit/unit.h
tests_unit_test_courier_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_courier_LDADD = src/app/courier/libcourier.a src/way/libway.a $(LIB_ALL) $(CHECK_LIBS)

noinst_LIBRARIES += src/app/control/libcommands.a
src_app_control_libcommands_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
src_app_control_libcommands_a_SOURCES = \
	src/app/control/commands.c \
	src/app/control/commands.h \
	src/app/control/groups.c \
	src/app/control/listing.c \
	src/app/control/listing.h \
	src/app/control/private.h \
	src/app/control/queue.c

sbin_PROGRAMS += p2pmta
p2pmta_SOURCES = \
	src/app/daemon/fellows.c \
	src/app/daemon/main.c \
	src/app/daemon/parts.h \
	src/app/daemon/wiring.c \
	src/app/daemon/wiring.h
p2pmta_LDADD = src/app/control/libcommands.a src/app/control/libcontrol.a src/app/courier/libcourier.a src/way/imap/libimap.a src/way/smtp/libsmtp.a \
	src/way/libway.a src/app/daemon/libsettings.a $(LIB_ALL) $(CONFUSE_LIBS) $(JANSSON_LIBS)
