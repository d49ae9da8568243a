bin_PROGRAMS += p2pmta-ctl
EXTRA_DIST += src/app/ctl/README
p2pmta_ctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(QRENCODE_CFLAGS)
p2pmta_ctl_SOURCES = \
	src/app/ctl/ask.c \
	src/app/ctl/ctl.c \
	src/app/ctl/ctl.h \
	src/app/ctl/doctor.c \
	src/app/ctl/group.c \
	src/app/ctl/init.c \
	src/app/ctl/line.c \
	src/app/ctl/password.c \
	src/app/ctl/qr.c \
	src/app/ctl/show.c
p2pmta_ctl_LDADD = src/app/control/libcontrol.a src/app/daemon/libsettings.a $(LIB_PGP) $(LIB_STORE) $(LIB_LOOP) $(LIB_MAIL) \
	$(JANSSON_LIBS) $(CONFUSE_LIBS) $(QRENCODE_LIBS)
