// Package oci keeps files in a repository of an OCI registry, as the one that stands
// beside the Git host: oci://registry.example/team/models.
//
// A file is an artifact: a manifest of artifact type "application/vnd.kept.file.v1"
// whose one layer is the file's bytes, under a tag that spells its name (see tag). The
// layer keeps the bytes from the registry's garbage collection. The tag moves last,
// and at once, so a file is there as a whole or not at all.
//
//	put     POST and PUT of the blob, PUT of the manifest under its tag
//	get     GET of the manifest by its tag, ranged GET of the blob
//	stat    HEAD of the tag, and GET of a manifest that was not seen before
//	list    GET of the tags, page by page
//	delete  HEAD of the tag, DELETE of the tag and of the manifest
//
// The client is one of its own on net/http: the libraries cost every start of the program
// more than all of the rest does (docs/decisions/0013-clients.md). It knows what is above and
// how to log in: docker's and podman's files and the credential helpers that they name
// (credentials.go), challenges (challenge.go), and tokens for scopes (auth.go, token.go).
// Credentials stay with the origin that they are for, through redirects, links to the next page
// and upload locations; of token servers, only those that a registry may have are asked (realm.go).
//
// The registry sees to it that what arrives is what was sent: it takes a blob only
// if it has the SHA-256 that the request names.
package oci
