package oci

import (
	"encoding/json"
	"fmt"
)

const (
	// artifactType says what a manifest is of.
	artifactType = "application/vnd.kept.file.v1"
	// bytesType is the type of the layer that is a file's bytes. That of an empty file is
	// emptyType, which has two bytes instead of none: not every registry takes a blob without any.
	bytesType = "application/octet-stream"
	// These are of the image specification, as is the empty blob.
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	emptyType    = "application/vnd.oci.empty.v1+json"
	emptyText    = "{}"
	emptyDigest  = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	titleKey     = "org.opencontainers.image.title"
	// packs is the prefix of names that are hashes of what is in the files, more or less:
	// what has one never becomes something else.
	packs = "packs/"
	// maxManifest is far above the size of a manifest of ours.
	maxManifest = 64 << 10
)

// layer is the file's blob.
type layer struct {
	digest digest
	// size is that of the file, and 0 for the empty one, whatever the blob has.
	size int64
}

// manifest is one of the image specification, as far as kept's have it, and descriptor
// what it says of a blob. The order of fields is that in which all tools write them.
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType,omitempty"`
	ArtifactType  string       `json:"artifactType,omitempty"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      digest            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Data        []byte            `json:"data,omitempty"`
}

// emptyBlobDescriptor returns that of the empty blob, which has its bytes in it.
func emptyBlobDescriptor() descriptor {
	return descriptor{MediaType: emptyType, Digest: emptyDigest, Size: int64(len(emptyText)), Data: []byte(emptyText)}
}

// encodeManifest returns the manifest of the file called name. The same file always has
// the same manifest, and no two names have one in common: a registry deletes a manifest
// with all of its tags.
func encodeManifest(name string, l layer) ([]byte, error) {
	blob := descriptor{MediaType: bytesType, Digest: l.digest, Size: l.size}
	if l.size == 0 {
		blob = emptyBlobDescriptor()
	}
	// Other tools give the file this name when they pull it.
	blob.Annotations = map[string]string{titleKey: name}
	return json.Marshal(manifest{
		SchemaVersion: 2,
		MediaType:     manifestType,
		ArtifactType:  artifactType,
		Config:        emptyBlobDescriptor(),
		Layers:        []descriptor{blob},
	})
}

// decodeManifest returns the blob of the file whose manifest text is.
func decodeManifest(text []byte) (layer, error) {
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return layer{}, fmt.Errorf("manifest: %w", err)
	}
	if m.ArtifactType != artifactType || len(m.Layers) != 1 {
		return layer{}, errForeign
	}
	blob := m.Layers[0]
	if blob.MediaType == emptyType {
		return layer{digest: blob.Digest}, nil
	}
	if err := blob.Digest.check(); err != nil {
		return layer{}, fmt.Errorf("manifest: %w", err)
	}
	if blob.Size <= 0 {
		return layer{}, fmt.Errorf("manifest: blob %s of %d bytes", blob.Digest, blob.Size)
	}
	return layer{digest: blob.Digest, size: blob.Size}, nil
}
