# Runs Redis' Tcl suite with a few changes; holds no line of the suite.
#
#     tclsh driver.tcl <options of the suite>        from the root of an unpacked suite
#
# It sources the suite's own tests/test_helper.tcl and
#   1. lets the suite start its client processes through this file too;
#   2. writes down which test is running ($EONKV_EVENTS), so that a hang costs one case;
#   3. swallows error replies to commands sent *between* tests, and writes them down: one set-up
#      command that a server lacks would otherwise lose every case of its block;
#   4. pops a `tags` block also when its body throws;
#   5. stands in for the child process that Redis saves with and a case kills: the server is told to
#      let what it writes fail (DEBUG FAIL-SAVE), which is what that death means to Redis;
#   6. waits a moment before a case looks into the append-only file: with `everysec` a reply does not
#      wait for the write, which is done a moment later.
set ::eonkv_driver [file normalize [info script]]

proc eonkv_event {kind args} {
    if {![info exists ::env(EONKV_EVENTS)]} return
    catch {
        set file [open $::env(EONKV_EVENTS) a]
        puts $file [string map [list "\n" "\\n" "\t" " "] "$kind [join $args { }]"]
        close $file
    }
}

# (1) The parent runs `exec tclsh tests/test_helper.tcl --client N`. (5) A case runs `exec kill -9 PID`.
rename exec eonkv_exec
proc exec {args} {
    if {[lindex $args 0] eq "kill" && [regexp {^writer-of-(-?\d+)$} [lindex $args end] all level]} {
        return [[srv $level client] debug fail-save]
    }
    if {[lindex $args 0] eq "head" && [string match *.aof [lindex $args end]]} { after 200 } ;# (6)
    if {[lindex $args 1] eq "tests/test_helper.tcl"} {
        set args [lreplace $args 1 1 $::eonkv_driver]
    }
    tailcall eonkv_exec {*}$args
}

# (6) For less time than DEBUG AOF-FLUSH-SLEEP lets a write wait in the case that looks for that.
rename file eonkv_file
proc file {args} {
    if {[lindex $args 0] eq "size" && [string match *.aof [lindex $args end]]} { after 50 }
    tailcall eonkv_file {*}$args
}

# The hooks need the suite's procedures, and must be in place before its client loop starts at the
# end of test_helper.tcl: so they go in when the last file of the library has been sourced.
rename source eonkv_source
proc source {args} {
    set code [catch {uplevel 1 [list eonkv_source {*}$args]} result options]
    if {[lindex $args end] eq "tests/support/util.tcl"} { eonkv_hook_library }
    return -options $options $result
}

proc eonkv_hook_library {} {
    set ::eonkv_depth 0
    # (2)
    rename test eonkv_test
    proc test {name args} {
        eonkv_event test $name
        incr ::eonkv_depth
        set code [catch {uplevel 1 [list eonkv_test $name {*}$args]} result options]
        incr ::eonkv_depth -1
        eonkv_event end $name
        if {$code == 1} { return -code error -errorinfo $::errorInfo $result }
        return -options $options $result
    }
    # (4)
    rename tags eonkv_tags
    proc tags {args} {
        set saved $::tags
        set code [catch {uplevel 1 [list eonkv_tags {*}$args]} result options]
        set ::tags $saved
        if {$code == 1} { return -code error -errorinfo $::errorInfo $result }
        return -options $options $result
    }
    # (6)
    rename assert_aof_content eonkv_assert_aof_content
    proc assert_aof_content {args} {
        after 200
        tailcall eonkv_assert_aof_content {*}$args
    }
    # (5) There may be a child after all: the suite is run against Redis, too.
    rename get_child_pid eonkv_get_child_pid
    proc get_child_pid {level} {
        if {![catch {eonkv_get_child_pid $level} pid] && $pid ne ""} { return $pid }
        foreach field {rdb_bgsave_in_progress aof_rewrite_in_progress} {
            if {[s $level $field] == 1} { return "writer-of-$level" }
        }
        error "nothing is being written"
    }
    # (3) `r` is defined in test_helper.tcl, later than the library: wait for what follows it.
    trace add execution proc leave eonkv_defined
}

proc eonkv_defined {command code result operation} {
    if {[lindex $command 1] ne "test_client_main"} return
    trace remove execution proc leave eonkv_defined
    rename ::r ::eonkv_r
    proc ::r {args} {
        if {$::eonkv_depth > 0} { tailcall eonkv_r {*}$args }
        if {[catch {eonkv_r {*}$args} result]} {
            if {[string match "I/O error*" $result] || [string match "*broken pipe*" $result]} {
                error $result
            }
            eonkv_event setup [string range [join $args { }] 0 80] => [string range $result 0 120]
            return ""
        }
        return $result
    }
}

set argv0 tests/test_helper.tcl
eonkv_source tests/test_helper.tcl
