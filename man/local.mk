dist_man_MANS += man/p2pmta.8 man/p2pmta-ctl.1 man/p2pmta.conf.5 man/p2pmta-protocol.7
