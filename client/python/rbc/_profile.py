class Profile: pass
