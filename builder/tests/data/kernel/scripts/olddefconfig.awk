# What olddefconfig does to the options of the stand-in: the last line about an
# option wins, dependencies and ranges are enforced, strangers vanish.
match($0, /^CONFIG_[A-Z0-9_]+=/) {
	value[substr($0, 8, RLENGTH - 8)] = substr($0, RLENGTH + 1)
}
match($0, /^# CONFIG_[A-Z0-9_]+ is not set$/) { value[$2 = substr($2, 8)] = "n" }
END {
	if (value["MISC_FILESYSTEMS"] != "y") value["EROFS_FS"] = "n"
	if (value["MODULES"] != "y" && value["EROFS_FS"] == "m") value["EROFS_FS"] = "y"
	if (value["COUNT"] != "" && value["COUNT"] + 0 > 64) value["COUNT"] = 64
	split("MODULES BREAK BIG COUNT MISC_FILESYSTEMS EROFS_FS PROC_FS BLK_DEV_INITRD EFI_STUB BLOCK EFI_PARTITION EXT4_FS", known, " ")
	for (i = 1; i in known; i++) {
		name = known[i]
		if (value[name] == "" ) continue
		if (value[name] == "n") print "# CONFIG_" name " is not set"
		else print "CONFIG_" name "=" value[name]
	}
}
