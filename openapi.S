/* openapi.S -- see openapi.h. */
	.section .rodata
	.global openapi_json, openapi_json_len
	.balign 4
openapi_json_len:
	.int 1f - openapi_json
openapi_json:
	.incbin "openapi.json"
1:
	.section .note.GNU-stack, "", %progbits
