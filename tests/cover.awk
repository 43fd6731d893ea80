# cover.awk -- one line per source file from `gcov -bn`, the least covered first.
/^File /           { name = $2; gsub(/'/, "", name) }
/^Lines executed/  { split($2, part, ":"); line = part[2] }
/^Taken at least/  {
	split($4, part, ":")
	if (name ~ /^[a-z]+\.c$/ && !(name in seen)) {
		seen[name] = 1
		printf "%-14s lines %7s  branches %7s\n", name, line, part[2] | "sort -k5,5n"
	}
}
