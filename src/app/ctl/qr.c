/*
 * A QR code out of characters: two modules above one another are one half
 * block, light on dark, with the quiet zone of four modules that scanners want.
 */
#include <qrencode.h>
#include <stdio.h>

#include "app/ctl/ctl.h"

enum { QUIET = 4, DARK = 1 };

static bool is_dark(const QRcode *code, int x, int y)
{
	return x >= 0 && y >= 0 && x < code->width && y < code->width && (code->data[y * code->width + x] & DARK);
}

static void put_line(const QRcode *code, int y)
{
	static const char *const blocks[] = { "\u2588", "\u2584", "\u2580", " " };	/* what is light */

	fputs("\033[40;97m", stdout);
	for (int x = -QUIET; x < code->width + QUIET; x++)
		fputs(blocks[2 * is_dark(code, x, y + 1) + is_dark(code, x, y)], stdout);
	puts("\033[0m");
}

bool qr_print(const char *text)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	unsigned width = line_width();
	bool fits = code && (width == 0 || (unsigned)code->width + 2 * QUIET <= width);

	if (fits)
		for (int y = -QUIET; y < code->width + QUIET; y += 2)
			put_line(code, y);
	QRcode_free(code);
	return fits;
}
