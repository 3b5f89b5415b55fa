package lambda

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// store saves functions and layers in the database; the zips are files. Without
// a database it saves nothing.
type store struct{ db *bbolt.DB }

var (
	functionsBucket = []byte("lambda-functions")
	layersBucket    = []byte("lambda-layers")
)

func (s *store) load() (functions []*function, layers []*layer, err error) {
	if s.db == nil {
		return nil, nil, nil
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		if err := each(tx, functionsBucket, &functions); err != nil {
			return err
		}
		return each(tx, layersBucket, &layers)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("load functions: %w", err)
	}
	return functions, layers, nil
}

func each[T any](tx *bbolt.Tx, name []byte, into *[]*T) error {
	bucket, err := tx.CreateBucketIfNotExists(name)
	if err != nil {
		return err
	}
	return bucket.ForEach(func(key, value []byte) error {
		v := new(T)
		if err := json.Unmarshal(value, v); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		*into = append(*into, v)
		return nil
	})
}

func (s *store) putFunction(f *function) error { return s.put(functionsBucket, f.Name, f) }
func (s *store) putLayer(l *layer) error       { return s.put(layersBucket, l.Name, l) }

func (s *store) put(bucket []byte, key string, v any) error {
	if s.db == nil {
		return nil
	}
	value, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("save %s: %w", key, err)
	}
	err = s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(key), value) })
	if err != nil {
		return fmt.Errorf("save %s: %w", key, err)
	}
	return nil
}

func (s *store) dropFunction(name string) error {
	if s.db == nil {
		return nil
	}
	err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(functionsBucket).Delete([]byte(name)) })
	if err != nil {
		return fmt.Errorf("drop %s: %w", name, err)
	}
	return nil
}
