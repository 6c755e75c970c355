//! Sources of pictures and sound: cameras, microphones, screens and synthetic ones.
