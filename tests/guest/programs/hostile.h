/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HOSTILE_H
#define HOSTILE_H

/*
 * Names that a terminal would obey, or show as something else: no tool may pass them
 * on as they are. As the name of a process the first 15 bytes count.
 */
static const char *const hostile_names[] = {
	"\033[95mred",			  /* a colour that the lab never uses */
	"\033[2J\033[Hclear",		  /* clears the screen */
	"\033]52;c;aGkK\a",		  /* sets the clipboard */
	"\033]0;title\a",		  /* sets the window's title */
	"\033P+q544e\033\\",		  /* a query that the terminal answers */
	"\2332Jc1",			  /* a C1 control as one byte, which is not UTF-8 */
	"\302\23395mc1",		  /* a C1 control as a character */
	"a\rover",
	"two\nFAKE 1 row",
	"tab\tvt\v\f",
	"del\177\b\b\b",
	"rtl\342\200\256gpj.exe",	  /* U+202E: reverses what follows */
	"zero\342\200\213\342\201\246w",  /* U+200B, U+2066 */
	"ls\342\200\250\342\200\251ps",	  /* U+2028, U+2029: more line breaks */
	"tag\363\240\201\201",		  /* U+E0041 */
	"bad\377\376\303(",		  /* not UTF-8 */
	"\355\240\200surr",		  /* a surrogate, which is not UTF-8 either */
	"cut\342\200",			  /* the start of a multi-byte character */
	"\\x1b[2J\\n",			  /* looks escaped */
	"[red]rich[b]",
	"%s%n%p{0}",
	"\"quote'\\",
	"caf\303\251 \360\237\230\200",	  /* these two are harmless */
};

#define HOSTILE_NAMES (sizeof(hostile_names) / sizeof(hostile_names[0]))

#endif /* HOSTILE_H */
