/* openapi.S -- see openapi.h. */
	.section .rodata
	.global openapi_gz, openapi_gz_len
	.balign 4
openapi_gz_len:
	.int 1f - openapi_gz
openapi_gz:
	.incbin "openapi.gz"
1:
	.section .note.GNU-stack, "", %progbits
