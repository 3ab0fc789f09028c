// Command interop checks with Go's own packages what a Reprise node writes: that the signed checkpoints open, that
// receipts are in the log, that the newer log continues the older one, and that mutations of each are refused.
//
// Usage: interop DIR
//
// DIR holds what tests/go/run.sh lays there:
//
//	note-key          the ledger's note key, as `reprise archive write` prints it
//	older             the checkpoint of the log when it was shorter
//	log/              the log as tlog-tiles
//	*.tlog-proof      proof files
//
// It exits with 0 only if every check ended as it must.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// height of the tiles of C2SP tlog-tiles.
const height = 8

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: interop DIR")
		os.Exit(64)
	}
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
	fmt.Println("interop: everything is as it must be")
}

func check(dir string) error {
	key, err := os.ReadFile(filepath.Join(dir, "note-key"))
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	if err != nil {
		return fmt.Errorf("note.NewVerifier: %w", err)
	}
	known := note.VerifierList(verifier)
	older, err := checkCheckpoint(filepath.Join(dir, "older"), known, verifier.Name())
	if err != nil {
		return err
	}
	newer, err := checkCheckpoint(filepath.Join(dir, "log", "checkpoint"), known, verifier.Name())
	if err != nil {
		return err
	}
	tiles := &directory{root: filepath.Join(dir, "log")}
	if err := checkEntries(tiles, newer); err != nil {
		return err
	}
	if err := checkInclusion(tiles, newer); err != nil {
		return err
	}
	if err := checkConsistency(tiles, older, newer); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.tlog-proof"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no proof files (%v)", err)
	}
	for _, file := range files {
		if err := checkProofFile(file, known, verifier.Name()); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
	}
	return nil
}

// openCheckpoint is what a client does with a signed checkpoint: open the note, then read its three lines.
func openCheckpoint(signed []byte, known note.Verifiers, origin string) (tlog.Tree, error) {
	opened, err := note.Open(signed, known)
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != origin || lines[3] != "" {
		return tlog.Tree{}, errors.New("not the three lines of a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func checkCheckpoint(path string, known note.Verifiers, origin string) (tlog.Tree, error) {
	signed, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	tree, err := openCheckpoint(signed, known, origin)
	if err != nil {
		return tree, fmt.Errorf("%s: %w", path, err)
	}
	lines := bytes.SplitAfter(signed, []byte("\n"))
	change := func(line int, with func([]byte) []byte) []byte {
		changed := append([][]byte{}, lines...)
		changed[line] = with(append([]byte{}, lines[line]...))
		return bytes.Join(changed, nil)
	}
	refused := refusals{what: fmt.Sprintf("checkpoint over %d receipts", tree.N)}
	refused.add("another size", func() error {
		_, err := openCheckpoint(change(1, func(line []byte) []byte { return append([]byte("1"), line...) }), known, origin)
		return err
	})
	refused.add("another root", func() error {
		_, err := openCheckpoint(change(2, func([]byte) []byte {
			root := tree.Hash
			root[0] ^= 1
			return []byte(root.String() + "\n")
		}), known, origin)
		return err
	})
	refused.add("another signature", func() error {
		_, err := openCheckpoint(change(4, flipSignature), known, origin)
		return err
	})
	refused.add("another log's name", func() error {
		_, err := openCheckpoint(bytes.ReplaceAll(signed, []byte("reprise.invalid/"), []byte("reprise.example/")), known, origin)
		return err
	})
	return tree, refused.check()
}

// flipSignature changes the last bit of the signature in a signature line.
func flipSignature(line []byte) []byte {
	fields := strings.Fields(string(line))
	signature, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return line
	}
	signature[len(signature)-1] ^= 1
	return []byte(fields[0] + " " + fields[1] + " " + base64.StdEncoding.EncodeToString(signature) + "\n")
}

// checkEntries reads every entry bundle and holds the hash of every receipt against the tiles.
func checkEntries(tiles *directory, tree tlog.Tree) error {
	reader := tlog.TileHashReader(tree, tiles)
	for at := int64(0); at < tree.N; at += 1 << height {
		entries, err := tiles.entries(at, tree)
		if err != nil {
			return err
		}
		indexes := make([]int64, len(entries))
		for i := range entries {
			indexes[i] = tlog.StoredHashIndex(0, at+int64(i))
		}
		hashes, err := reader.ReadHashes(indexes)
		if err != nil {
			return fmt.Errorf("tiles from receipt %d on: %w", at, err)
		}
		for i, entry := range entries {
			if tlog.RecordHash(entry) != hashes[i] {
				return fmt.Errorf("receipt %d is not what the log says", at+int64(i))
			}
		}
	}
	fmt.Printf("entries: all %d receipts are in the tiles\n", tree.N)
	return nil
}

func checkInclusion(tiles *directory, tree tlog.Tree) error {
	reader := tlog.TileHashReader(tree, tiles)
	for _, seq := range []int64{0, 1, 255, 256, tree.N / 2, tree.N - 1} {
		if seq >= tree.N {
			continue
		}
		proof, err := tlog.ProveRecord(tree.N, seq, reader)
		if err != nil {
			return fmt.Errorf("tlog.ProveRecord of %d: %w", seq, err)
		}
		entry, err := tiles.entry(seq, tree)
		if err != nil {
			return err
		}
		if err := checkRecord("receipt "+strconv.FormatInt(seq, 10), proof, tree, seq, entry); err != nil {
			return err
		}
	}
	return nil
}

// checkRecord accepts an inclusion proof and refuses five mutations of it.
func checkRecord(what string, proof tlog.RecordProof, tree tlog.Tree, seq int64, entry []byte) error {
	leaf := tlog.RecordHash(entry)
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, seq, leaf); err != nil {
		return fmt.Errorf("%s: tlog.CheckRecord: %w", what, err)
	}
	refused := refusals{what: "inclusion of " + what}
	refused.add("another receipt", func() error {
		changed := append([]byte{}, entry...)
		changed[len(changed)-1] ^= 1
		return tlog.CheckRecord(proof, tree.N, tree.Hash, seq, tlog.RecordHash(changed))
	})
	refused.add("another place", func() error {
		return tlog.CheckRecord(proof, tree.N, tree.Hash, seq^1, leaf)
	})
	refused.add("another root", func() error {
		root := tree.Hash
		root[31] ^= 1
		return tlog.CheckRecord(proof, tree.N, root, seq, leaf)
	})
	refused.add("another hash on the way", func() error {
		changed := append(tlog.RecordProof{}, proof...)
		changed[len(changed)/2][5] ^= 1
		return tlog.CheckRecord(changed, tree.N, tree.Hash, seq, leaf)
	})
	refused.add("a hash less", func() error {
		return tlog.CheckRecord(proof[:len(proof)-1], tree.N, tree.Hash, seq, leaf)
	})
	return refused.check()
}

func checkConsistency(tiles *directory, older, newer tlog.Tree) error {
	if older.N >= newer.N {
		return fmt.Errorf("the older log has %d receipts, the newer one %d", older.N, newer.N)
	}
	proof, err := tlog.ProveTree(newer.N, older.N, tlog.TileHashReader(newer, tiles))
	if err != nil {
		return fmt.Errorf("tlog.ProveTree: %w", err)
	}
	if err := tlog.CheckTree(proof, newer.N, newer.Hash, older.N, older.Hash); err != nil {
		return fmt.Errorf("tlog.CheckTree: %w", err)
	}
	refused := refusals{what: fmt.Sprintf("consistency of %d with %d receipts", older.N, newer.N)}
	refused.add("another older root", func() error {
		root := older.Hash
		root[0] ^= 1
		return tlog.CheckTree(proof, newer.N, newer.Hash, older.N, root)
	})
	refused.add("another newer root", func() error {
		root := newer.Hash
		root[0] ^= 1
		return tlog.CheckTree(proof, newer.N, root, older.N, older.Hash)
	})
	refused.add("another older size", func() error {
		return tlog.CheckTree(proof, newer.N, newer.Hash, older.N-1, older.Hash)
	})
	refused.add("another hash in the proof", func() error {
		changed := append(tlog.TreeProof{}, proof...)
		changed[len(changed)-1][9] ^= 1
		return tlog.CheckTree(changed, newer.N, newer.Hash, older.N, older.Hash)
	})
	refused.add("another tile", func() error {
		_, err := tlog.ProveTree(newer.N, older.N, tlog.TileHashReader(newer, &directory{root: tiles.root, damaged: true}))
		return err
	})
	return refused.check()
}

// checkProofFile reads a C2SP tlog-proof file and checks what it proves.
func checkProofFile(path string, known note.Verifiers, origin string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, signed, found := bytes.Cut(file, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a proof file")
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return fmt.Errorf("extra: %w", err)
	}
	seq, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, err := openCheckpoint(signed, known, origin)
	if err != nil {
		return err
	}
	return checkRecord(filepath.Base(path), proof, tree, seq, entry)
}

// directory reads tiles from files, as a client of a static web server does.
type directory struct {
	root string
	// damaged changes a bit of every tile.
	damaged bool
}

func (d *directory) Height() int { return height }

func (d *directory) SaveTiles([]tlog.Tile, [][]byte) {}

func (d *directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range tiles {
		// tile.Path begins with the height, which C2SP tlog-tiles leaves out.
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", tile.H), "tile/", 1)
		read, err := os.ReadFile(filepath.Join(d.root, path))
		if err != nil {
			return nil, err
		}
		if d.damaged {
			read[len(read)-1] ^= 1
		}
		data = append(data, read)
	}
	return data, nil
}

// entries reads the entry bundle that begins with receipt `at`.
func (d *directory) entries(at int64, tree tlog.Tree) ([][]byte, error) {
	width := tree.N - at
	if width > 1<<height {
		width = 1 << height
	}
	tile := tlog.Tile{H: height, L: 0, N: at >> height, W: int(width)}
	path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/0/", height), "tile/entries/", 1)
	bundle, err := os.ReadFile(filepath.Join(d.root, path))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
			return nil, fmt.Errorf("%s ends within an entry", path)
		}
		length := int(binary.BigEndian.Uint16(bundle))
		entries = append(entries, bundle[2:2+length])
		bundle = bundle[2+length:]
	}
	if int64(len(entries)) != width {
		return nil, fmt.Errorf("%s has %d entries instead of %d", path, len(entries), width)
	}
	return entries, nil
}

func (d *directory) entry(seq int64, tree tlog.Tree) ([]byte, error) {
	at := seq &^ (1<<height - 1)
	entries, err := d.entries(at, tree)
	if err != nil {
		return nil, err
	}
	return entries[seq-at], nil
}

// refusals are mutations that must not be accepted.
type refusals struct {
	what  string
	names []string
	tries []func() error
}

func (r *refusals) add(name string, try func() error) {
	r.names = append(r.names, name)
	r.tries = append(r.tries, try)
}

func (r *refusals) check() error {
	for i, try := range r.tries {
		if try() == nil {
			return fmt.Errorf("%s: %s was accepted", r.what, r.names[i])
		}
	}
	fmt.Printf("%s: holds; refused with %s\n", r.what, strings.Join(r.names, ", "))
	return nil
}
