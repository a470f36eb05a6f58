// replaced by the first tests
