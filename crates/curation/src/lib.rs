//! Curriculum, hygiene, selection, pairs, evaluation statistics, promotion gate.
