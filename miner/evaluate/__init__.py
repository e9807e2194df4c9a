"""Mined regions held against expert masks and gold mentions."""
