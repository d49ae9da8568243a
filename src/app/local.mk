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
	src/app/courier/sent.c \
	src/app/courier/state.h
