# The loader's last words: one line on the screen and on the first serial port.
#
# A text may ask for numbers: NUMBER and SECOND are 64-bit variables in decimal,
# STATUS is what the BIOS said, as two hexadecimal digits.
#
# Absent: any message of a boot that goes well.

        .include "layout.inc"
        .code16
        .text

# Ends the boot. In: SI = text. Does not return.
        .globl  fail
fail:
        cld
        pushw   %si
        movw    $LINE, %di
        movw    $prefix, %si
        call    compose
        popw    %si
        call    compose
        movl    $0x000A0D, (%di)        # CR, LF and the end
# The port first: firmware may copy the screen to the same port, and keeps what it has
# not yet sent until its next timer tick.
        call    to_serial
        call    to_screen
# With interrupts, so that Ctrl-Alt-Del is answered.
halt:   sti
        hlt
        jmp     halt

# Appends the text at SI to the line at DI.
compose:
        lodsb
        testb   %al, %al
        jz      5f
        cmpb    $1, %al
        je      2f
        cmpb    $2, %al
        je      3f
        cmpb    $3, %al
        je      4f
        stosb
        jmp     compose
2:      movw    $number, %bx
        jmp     1f
3:      movw    $second, %bx
1:      movl    (%bx), %eax
        movl    4(%bx), %edx
        call    decimal
        jmp     compose
4:      movb    status, %al
        call    hexadecimal
        jmp     compose
5:      ret

# Appends EDX:EAX in decimal. The quotient by 10 is taken of each half in turn, the
# first remainder going into the second division. Changes EAX, EBX, CX, EDX, EBP.
decimal:
        movl    $10, %ebx
        xorw    %cx, %cx
1:      movl    %eax, %ebp
        movl    %edx, %eax
        xorl    %edx, %edx
        divl    %ebx
        xchgl   %eax, %ebp              # EBP = the quotient's high half
        divl    %ebx
        pushw   %dx                     # a digit, the lowest first
        incw    %cx
        movl    %ebp, %edx
        orl     %eax, %ebp
        jnz     1b
2:      popw    %ax
        addb    $'0', %al
        stosb
        loop    2b
        ret

# Appends AL as two hexadecimal digits and an "h".
hexadecimal:
        movb    %al, %ah
        shrb    $4, %al
        call    1f
        movb    %ah, %al
        andb    $15, %al
        call    1f
        movb    $'h', %al
        stosb
        ret
1:      addb    $'0', %al
        cmpb    $'9', %al
        jbe     2f
        addb    $'A' - '0' - 10, %al
2:      stosb
        ret

# Shows the line by INT 10h AH=0Eh.
to_screen:
        movw    $LINE, %si
1:      lodsb
        testb   %al, %al
        jz      2f
        movb    $0x0E, %ah
        movw    $7, %bx                 # page 0, grey
        pushw   %si
        int     $0x10
        popw    %si
        jmp     1b
2:      ret

# Sends the line by COM1: 115,200 bits per second, 8 data bits, no parity, one stop bit.
        .set    COM1, 0x3F8
        .set    COM1_LINE_CONTROL, COM1 + 3
        .set    COM1_LINE_STATUS, COM1 + 5
        .set    TRANSMITTER_EMPTY, 0x20
to_serial:
        movw    $COM1_LINE_CONTROL, %dx
        movb    $0x80, %al              # the two registers below are the divisor
        outb    %al, %dx
        movw    $COM1, %dx
        movb    $1, %al                 # 115,200 bits per second
        outb    %al, %dx
        incw    %dx
        xorb    %al, %al
        outb    %al, %dx
        movw    $COM1_LINE_CONTROL, %dx
        movb    $3, %al                 # 8N1
        outb    %al, %dx
        incw    %dx                     # modem control: DTR and RTS
        outb    %al, %dx
        movw    $LINE, %si
1:      lodsb
        testb   %al, %al
        jz      3f
        movb    %al, %ah
        movw    $COM1_LINE_STATUS, %dx
        xorw    %cx, %cx                # 65,536 looks, many times what a byte takes
2:      inb     %dx, %al
        testb   $TRANSMITTER_EMPTY, %al
        loopz   2b
        jz      3f                      # nothing is there that sends
        movb    %ah, %al
        movw    $COM1, %dx
        outb    %al, %dx
        jmp     1b
3:      ret

        .data
prefix: .asciz  "\r\nkeelson: "          # other words may stand in the line
        .globl  number, second, status
        .balign 4
number: .quad   0
second: .quad   0
status: .byte   0
