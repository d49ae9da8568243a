systemduserunit_DATA = conf/p2pmta.service
EXTRA_DIST += conf/p2pmta.service.in conf/p2pmta.conf
CLEANFILES += conf/p2pmta.service

conf/p2pmta.service: conf/p2pmta.service.in Makefile
	@$(MKDIR_P) conf
	$(AM_V_GEN)sed 's|@sbindir[@]|$(sbindir)|' $(srcdir)/conf/p2pmta.service.in >$@
