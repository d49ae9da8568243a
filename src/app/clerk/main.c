/*
 * p2pmta-clerk: a program of its own, because gpg is started by fork(), and
 * what a fork costs is counted in libraries.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/pgp/pgp.h"

int main(int argc, char **argv)
{
	if (argc == 2 && clerk_serve(argv[1]))
		return EXIT_SUCCESS;
	fputs("p2pmta-clerk: started by p2pmta, not by people\n", stderr);
	return EXIT_FAILURE;
}
