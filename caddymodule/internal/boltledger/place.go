package boltledger

import (
	"errors"
	"io/fs"
	"os"
)

// intact checks that the file has not been cut short: what bolt maps beyond
// its end cannot be read. Bolt itself never shortens it.
func (s *session) intact() error {
	least := s.size.Load() // before looking, since the file may grow meanwhile
	info, err := s.file.Stat()
	if err == nil && info.Size() < least {
		err = errCut
	}
	return err
}

// inPlace checks that what was committed is found again under the file's name.
func (s *session) inPlace() error {
	opened, err := s.named()
	if err != nil {
		return err
	}
	s.size.Store(opened.Size())
	return nil
}

// named returns what the file is, if it is the one of that name.
func (s *session) named() (os.FileInfo, error) {
	named, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errRemoved
	}
	if err != nil {
		return nil, err
	}
	opened, err := s.file.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(named, opened) {
		return nil, errReplaced
	}
	return opened, nil
}

// look ends the session if the file is gone, and returns why it then is.
func (s *session) look() error {
	_, err := s.named()
	if !errors.Is(err, errRemoved) && !errors.Is(err, errReplaced) {
		return nil
	}
	s.fail(err)
	return err
}
