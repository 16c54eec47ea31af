# Stage 2: what is done in which order. Each step is in a file of its own.
#
# Stage 1 has put this at 0:7E00, the boot table behind it, and verified this but not
# the table. Segments are 0, DL is the drive, the stack grows down from 0:7C00.
#
# Nothing of a file is looked at before its checksum has been found right. Every step
# either does its work or ends the boot with a message (message.s).

        .include "layout.inc"
        .code16
        .section .entry, "ax"
        .globl  stage2
stage2:
        movb    %dl, drive
        call    table_verify
        call    disk_open
        movw    $table + TABLE_KERNEL, %si
        call    disk_holds
        movw    $table + TABLE_INITRAMFS, %si
        call    disk_holds
        call    memory_open_a20
        call    memory_read_map
        call    kernel_load
        call    kernel_check
        call    initramfs_load
        call    kernel_arrange
        jmp     kernel_enter

# Ends the boot unless the table is one of ours, of this version, and unchanged.
table_verify:
        cmpl    $0x4C45454B, table      # "KEEL"
        jne     1f
        cmpl    $0x544F4F42, table + 4  # "BOOT"
        jne     1f
        movl    table + 8, %eax
        movl    %eax, number
        movw    $foreign_version, %si
        cmpl    $TABLE_VERSION, %eax
        jne     fail
        call    checksum_begin
        movl    $table, %esi
        movl    %esi, %edi              # onto itself: only counted
        movl    $(TABLE_BYTES - 8) / 4, %ecx
        call    copy
        movw    $table + TABLE_CHECKSUM, %si
        call    checksum_matches
        jne     1f
        cmpl    $COMMAND_LINE_BYTES_MAX, table + TABLE_COMMAND_LINE_BYTES
        ja      1f
        ret
1:      movw    $table_changed, %si
        jmp     fail

        .data
table_changed:   .asciz "the boot table has changed"
foreign_version: .asciz "the boot table has version \001, which this loader does not know"
