# tidy.awk -- the rules of style that a machine can check, over C files and headers.
#   awk -v modules="bytes log ... main" -f tests/tidy.awk *.[ch] tests/*.c
# A file of a folder (tests/, bench/) may include any module; the other rules hold for it too.

BEGIN {
	n = split(modules, list, " ")
	for (i = 1; i <= n; i++)
		rank[list[i]] = i
	only["lmdb.h"] = "kv"
	only["sys/epoll.h"] = "server"
	only["jansson.h"] = "json"
	only["zlib.h"] = "inflate"
	banned = "(^|[^_a-z])(strcpy|strcat|strncpy|strncat|sprintf|vsprintf|gets|atoi|atol|strtok|" \
	         "alloca|system|popen|getaddrinfo|gethostbyname|localtime|ctime|rand)\\("
	heap = "(^|[^_a-z])(malloc|calloc|realloc|strdup|asprintf)\\("
	# Who may compare bytes in a time that depends on them: none of these hold a secret.
	compares["bytes"] = compares["kv"] = compares["address"] = 1
}

function complain(what)
{
	print FILENAME ":" FNR ": " what
	bad = 1
}

function columns(line,    parts, i, width)
{
	for (i = 1; i <= split(line, parts, "\t"); i++)
		width = (i > 1 ? width + 8 - width % 8 : 0) + length(parts[i])
	return width
}

FNR == 1 {
	module = FILENAME
	top = module !~ /\//
	file = module
	sub(/.*\//, "", file)
	sub(/\.[ch]$/, "", module)
	start = 0
	if (index($0, "/* " file " -- ") != 1)
		complain("the first line says what the file is: /* " file " -- ... ")
	if (top && !(module in rank))
		complain(module " is not in MODULES")
}

top && /^#include "/ {
	split($0, part, "\"")
	name = part[2]
	sub(/\.h$/, "", name)
	if (!(name in rank))
		complain(name " is not in MODULES")
	else if (rank[name] > rank[module])
		complain(module " may not include " name " (it is to its right)")
}

top && /^#include </ {
	name = $2
	gsub(/[<>]/, "", name)
	if (name in only && only[name] != module)
		complain("only " only[name] " may include <" name ">")
}

columns($0) > 100          { complain("line longer than 100 columns") }
/[ \t]$/                   { complain("trailing blank") }
/^ {8}/                    { complain("indented with blanks") }
/(^|[^A-Za-z])(TODO|FIXME|XXX|HACK)([^A-Za-z]|$)/ { complain("leftover mark") }
$0 ~ banned                { complain("banned call") }
top && $0 ~ heap           { complain("memory is had at start, not from the heap") }
top && /(^|[^_a-z])memcmp\(/ && !(module in compares) {
	complain("compare with slice_eq(), secrets with slice_eq_secret()")
}

/^{/          { start = FNR }
/^}/ && start {
	if (FNR - start - 1 > 70)
		complain("function longer than 70 lines")
	start = 0
}

END { exit bad }
